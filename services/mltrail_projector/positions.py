"""Where a generation stands in every partition, as its table says."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from mltrail_core.errors import MltrailError
from mltrail_core.ids import PARTITIONS, Partition
from mltrail_core.readmodel import tables
from mltrail_core.readmodel.store import ReadModel


class LogDiffers(MltrailError):
    """The log no longer holds what was projected (it lost its tail, or is another log): a rebuild is needed."""


def read_standing(read_model: ReadModel, generation: int) -> dict[Partition, tuple[int, bytes | None]]:
    """Return the index that each partition is projected to, and the hash of the record there (None at 0).

    The rows are created when the generation is new.
    """
    table = tables.positions
    with read_model.writing(generation) as connection:
        rows = connection.execute(select(table.c.partition, table.c["index"], table.c.leaf_hash))
        found = {Partition(partition): (index, hash_ and bytes(hash_)) for partition, index, hash_ in rows}
        absent = [partition for partition in PARTITIONS if partition not in found]
        if absent:
            dialect = postgresql if read_model.dialect == "postgresql" else sqlite
            connection.execute(
                dialect.insert(table).on_conflict_do_nothing(),
                [{"partition": partition, "index": 0, "appended_us": 0} for partition in absent],
            )
    return {partition: found.get(partition, (0, None)) for partition in PARTITIONS}


def read_positions(read_model: ReadModel, generation: int) -> dict[Partition, int]:
    """Return the index that each partition is projected to."""
    return {partition: index for partition, (index, _) in read_standing(read_model, generation).items()}


def mark_halted(read_model: ReadModel, generation: int, partition: Partition, why: str) -> None:
    """Write down why a partition is not projected any further, so that nobody waits for it."""
    with read_model.writing(generation) as connection:
        connection.execute(update(tables.positions).where(tables.positions.c.partition == partition).values(halted=why))
