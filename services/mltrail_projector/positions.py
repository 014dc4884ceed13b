"""Where a generation stands in every partition, and whether the log still holds what was projected."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from mltrail_core.errors import MltrailError
from mltrail_core.ids import PARTITIONS, Partition
from mltrail_core.log import EventLog
from mltrail_core.readmodel import tables
from mltrail_core.readmodel.store import ReadModel
from mltrail_projector.batch import hash_of


class LogDiffers(MltrailError):
    """The log no longer holds what was projected (it lost its tail, or is another log): a rebuild is needed."""


def read_positions(read_model: ReadModel, generation: int) -> dict[Partition, int]:
    """Return the index that each partition is projected to; the rows are created when the generation is new."""
    with read_model.writing(generation) as connection:
        rows = connection.execute(select(tables.positions.c.partition, tables.positions.c["index"]))
        found = {Partition(partition): index for partition, index in rows}
        absent = [partition for partition in PARTITIONS if partition not in found]
        if absent:
            dialect = postgresql if read_model.dialect == "postgresql" else sqlite
            connection.execute(
                dialect.insert(tables.positions).on_conflict_do_nothing(),
                [{"partition": partition, "index": 0, "appended_us": 0} for partition in absent],
            )
    return {partition: found.get(partition, 0) for partition in PARTITIONS}


def check_against_log(log: EventLog, read_model: ReadModel, generation: int) -> None:
    """Compare the record at each position with the one that was projected.

    Raises:
        LogDiffers: a record is gone or another one.
        Unavailable: the log or the read model can't be reached.
    """
    with read_model.reading() as connection:
        if not read_model.is_live(connection, generation):
            return
        rows = connection.execute(select(tables.positions).where(tables.positions.c.index > 0)).mappings().all()
    for row in rows:
        partition, index = row["partition"], row["index"]
        entries = log.read(partition, after=index - 1, max_records=1)
        if not entries or entries[0].index != index:
            raise LogDiffers(
                f"partition {partition} was projected to index {index}, the log at {log.url} ends before it: it lost "
                "its tail or is another log. If it is the right log, run `mltrail rebuild --accept-difference`"
            )
        if hash_of(entries[0]) != row["leaf_hash"]:
            raise LogDiffers(
                f"the record at index {index} of partition {partition} is not the one that was projected: the "
                f"log at {log.url} was changed. If it is the right log, run `mltrail rebuild --accept-difference`"
            )


def mark_halted(read_model: ReadModel, generation: int, partition: Partition, why: str) -> None:
    """Write down why a partition is not projected any further, so that nobody waits for it."""
    with read_model.writing(generation) as connection:
        connection.execute(update(tables.positions).where(tables.positions.c.partition == partition).values(halted=why))
