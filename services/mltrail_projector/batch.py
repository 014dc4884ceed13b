"""One transaction: compare-and-set the positions, fold the entries, write what they changed.

The position moves in the same transaction as the effects, and only from where this projector believes it to be. So each
record takes effect exactly once, however many projectors run and wherever one of them is killed.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, null, update

from mltrail_core.errors import Invalid
from mltrail_core.events import LoggedModelParamLogged, MetricsLogged, ParamLogged, RunStatusChanged
from mltrail_core.ids import PARTITIONS, Partition
from mltrail_core.log import LogEntry
from mltrail_core.readmodel import tables
from mltrail_core.readmodel.store import ReadModel
from mltrail_core.readmodel.trouble import is_trouble
from mltrail_core.record import FrozenRecord, leaf_hash
from mltrail_projector.entries import Decoded, decode_entry, fold_entry
from mltrail_projector.fold import Fold
from mltrail_projector.memory import Memory
from mltrail_projector.rows import Key, Rows

BATCH_BYTES = 16 << 20
"""A transaction takes about this much of the log: large enough to write in sets, small enough to stay in memory."""
PARTITION_BYTES = 2 << 20
PARTITION_RECORDS = 2000
SLICE_RECORDS = 500
"""So many are decoded before they are folded: few enough that the garbage collector never has them all to look at,
which doubled the time it took to decode 20,000."""

Batch = Mapping[Partition, Sequence[LogEntry]]
"""The next entries of some partitions, each in order; none is empty."""


class PositionMoved(Exception):
    """Another projector has moved a position, or the generation is no longer live: read positions anew."""


class HandlerFailed(Exception):
    """A handler raised: a bug of ours. The partition stops before this entry; nothing of the transaction was kept."""

    def __init__(self, entry: LogEntry) -> None:
        super().__init__(f"partition {entry.partition} can't be projected past index {entry.index - 1}")
        self.entry = entry


class FlushFailed(Exception):
    """What some record of the batch changed can't be written; nothing was. Smaller batches find the record."""


@dataclass(frozen=True, slots=True)
class Projected:
    """What one transaction did."""

    positions: Mapping[Partition, int]
    counts: Mapping[str, int]
    summaries: int
    """Rows of metric summaries that were written: what a transaction costs whatever the number of points."""


def project_batch(
    read_model: ReadModel,
    generation: int,
    batch: Batch,
    *,
    must_be_live: bool = True,
    memory: Memory | None = None,
    decode: Callable[[LogEntry], Decoded] = decode_entry,
) -> Projected:
    """Project the batch in one transaction, and return where the partitions stand now.

    Args:
        must_be_live: False while a rebuild fills a generation that readers do not see yet.
        memory: of earlier transactions on this generation.
        decode: gives an entry with its record, as `decode_entry` does.

    Raises:
        PositionMoved: nothing was written; somebody else projected these entries or a rebuild took over.
        HandlerFailed: nothing was written; a handler raised, or the only record's changes can't be written.
        FlushFailed: nothing was written; the changes of one of several records can't be.
        Unavailable: nothing was written; the database can't be reached.
    """
    memory = Memory() if memory is None else memory
    with read_model.writing(generation) as connection:
        _move_positions(connection, batch)
        if must_be_live and not read_model.is_live(connection, generation):
            raise PositionMoved(f"generation {generation} is no longer live")
        fold = Fold.over(Rows(connection, memory), memory.written)
        entries = [entry for of_partition in batch.values() for entry in of_partition]
        for first in range(0, len(entries), SLICE_RECORDS):
            _fold(fold, [decode(entry) for entry in entries[first : first + SLICE_RECORDS]])
        _flush(fold, entries)
    fold.catalogue.committed()
    fold.rows.committed()
    return Projected(
        {partition: entries[-1].index for partition, entries in batch.items()}, fold.counts, fold.points.summaries
    )


def _fold(fold: Fold, decoded: Sequence[Decoded]) -> None:
    _prefetch(fold.rows, decoded)
    for item in decoded:
        try:
            fold_entry(fold, item)
        except Exception as error:
            if is_trouble(error):
                raise
            raise HandlerFailed(item.entry) from error


def _flush(fold: Fold, entries: Sequence[LogEntry]) -> None:
    try:
        fold.flush()
    except Exception as error:
        if is_trouble(error):
            raise
        if len(entries) == 1:
            raise HandlerFailed(entries[0]) from error
        raise FlushFailed(f"one of {len(entries)} records can't be written") from error


def _move_positions(connection: Connection, batch: Batch) -> None:
    moves = [
        {
            "of_partition": partition,
            "old_index": batch[partition][0].index - 1,
            "new_index": batch[partition][-1].index,
            "new_hash": hash_of(batch[partition][-1]),
            "new_appended_us": batch[partition][-1].appended_us,
        }
        for partition in sorted(batch)  # one order for all, so that two projectors never wait for each other
    ]
    # One record alone is what somebody waits for: psycopg sends a list of statements, be it one, together with BEGIN.
    # On SQLite one statement is cheaper than a list of one.
    is_one = len(moves) == 1 and connection.dialect.name != "postgresql"
    moved = connection.execute(_MOVE, moves[0] if is_one else moves)
    if moved.rowcount != len(moves):
        where = ", ".join(f"{move['of_partition']} at {move['old_index']}" for move in moves)
        raise PositionMoved(f"not every partition stands where it was believed to: {where}")


_MOVE = (
    update(tables.positions)
    .where(tables.positions.c.partition == bindparam("of_partition"))
    .where(tables.positions.c["index"] == bindparam("old_index"))
    .values(
        index=bindparam("new_index"),
        leaf_hash=bindparam("new_hash"),
        appended_us=bindparam("new_appended_us"),
        halted=null(),
    )
)
"""Made once, as the statements of `Rows`."""


def hash_of(entry: LogEntry) -> bytes:
    """Return the entry's leaf hash, or the SHA-256 of bytes that are no record."""
    place = (entry.partition, entry.index)
    known = _HASHED.get(place)
    if known is not None and known[0] == entry.frozen:
        return known[1]
    try:
        found = leaf_hash(entry.frozen)
    except Invalid:
        found = hashlib.sha256(entry.frozen).digest()
    if len(entry.frozen) <= _HASHED_BYTES:
        with _HASHING:
            _HASHED[place] = (entry.frozen, found)
            while len(_HASHED) > _HASHED_RECORDS:
                del _HASHED[next(iter(_HASHED))]
    return found


_HASHED: dict[tuple[Partition, int], tuple[FrozenRecord, bytes]] = {}
"""The records that were hashed last, and their hashes: where a partition ends is hashed when its position moves, or
ahead, and asked for again, and comparing bytes takes a tenth of hashing them."""
_HASHED_RECORDS = 2 * len(PARTITIONS)
_HASHED_BYTES = 1 << 20
_HASHING = threading.Lock()


def _prefetch(rows: Rows, decoded: Sequence[Decoded]) -> None:
    """Read in few queries what the batch's frequent events will look at. A tag is set whatever it was."""
    runs: set[Key] = set()
    params: set[Key] = set()
    model_params: set[Key] = set()
    producers: set[Key] = set()
    lost: set[Key] = set()
    for item in decoded:
        if item.record is None:
            continue
        producers.add((item.record.producer, item.record.partition))
        for event in item.record.events:
            if isinstance(event, MetricsLogged):  # before all others, since it is by far the most frequent
                runs.add((event.run_id,))
                continue
            run_id = getattr(event, "run_id", None)
            if run_id is not None:
                runs.add((run_id,))
            if isinstance(event, ParamLogged):
                params.add((event.run_id, event.key))
            elif isinstance(event, LoggedModelParamLogged):
                model_params.add((event.model_id, event.key))
            elif isinstance(event, RunStatusChanged):
                lost.add((event.run_id,))
    rows.prefetch(tables.runs, runs)
    rows.prefetch(tables.params, params)
    rows.prefetch(tables.logged_model_params, model_params)
    rows.prefetch(tables.producers, producers)
    rows.prefetch(tables.lost_runs, lost)
