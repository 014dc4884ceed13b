"""What a frontier projects next, read from the log; while a batch is projected, a thread reads the one after it.

Reading waits for the log and projecting for the database, and both let the interpreter go meanwhile. What was read
ahead is no more than a guess where the partitions will stand: it is taken only where they do stand there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass

from mltrail_core.errors import Unavailable
from mltrail_core.ids import Partition
from mltrail_core.log import EventLog, LogEntry, Positions
from mltrail_projector.batch import BATCH_BYTES, PARTITION_BYTES, PARTITION_RECORDS, SLICE_RECORDS, hash_of
from mltrail_projector.entries import Decoded, decode_entry


@dataclass(frozen=True, slots=True)
class Stretch:
    """What lies past an index of a partition."""

    after: int
    known: LogEntry | None
    """What lies at that index, to be compared with what was projected; None at 0, and when it is not there."""
    entries: Sequence[LogEntry]


@dataclass(frozen=True, slots=True)
class _Ahead:
    stretches: Mapping[Partition, Stretch]
    decoded: Mapping[tuple[Partition, int], Decoded]


_NOTHING = _Ahead({}, {})


class ReadAhead:
    """Reads stretches of one log: those that are asked for, and in a thread those that will be. Used by one thread."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._thread: ThreadPoolExecutor | None = None
        self._reading: Future[_Ahead] | None = None
        self._taken = _NOTHING

    def begin(self, lasts: Mapping[Partition, LogEntry]) -> None:
        """Begin to read what follows these entries, in the background."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="mltrail-read-ahead")
        known_bytes = {partition: len(entry.frozen) for partition, entry in lasts.items()}
        positions = {partition: entry.index for partition, entry in lasts.items()}
        self._reading = self._thread.submit(self._read, positions, known_bytes)

    def take(self, positions: Positions) -> dict[Partition, Stretch]:
        """Return what follows each of these positions: what was read ahead if it does, otherwise what is there now.

        Raises:
            Unavailable: the log can't be reached.
        """
        reading, self._reading, self._taken = self._reading, None, _NOTHING
        if reading is not None:
            with contextlib.suppress(Unavailable, CancelledError):  # reading it now either succeeds or says why not
                self._taken = reading.result()
        share = _share(positions)
        stretches = {}
        for partition, index in positions.items():
            ahead = self._taken.stretches.get(partition)
            is_next = ahead is not None and ahead.after == index and len(ahead.entries) > 0
            stretches[partition] = ahead if ahead is not None and is_next else self._stretch(partition, index, share)
        return stretches

    def decode(self, entry: LogEntry) -> Decoded:
        """Return the entry with its record, which may have been decoded ahead."""
        known = self._taken.decoded.get((entry.partition, entry.index))
        return known if known is not None and known.entry is entry else decode_entry(entry)

    def close(self) -> None:
        """Return once nothing is read any more; what was read ahead is dropped."""
        thread, self._thread, self._reading, self._taken = self._thread, None, None, _NOTHING
        if thread is not None:
            thread.shutdown(cancel_futures=True)

    def _read(self, positions: Positions, known_bytes: Mapping[Partition, int]) -> _Ahead:
        # The record at a position is read again with what follows it, beyond the share: where records are large,
        # little else would come with it.
        share = _share(positions)
        stretches = {
            partition: self._stretch(partition, index, share + known_bytes[partition])
            for partition, index in positions.items()
        }
        entries = [entry for stretch in stretches.values() for entry in stretch.entries]
        if len(entries) > SLICE_RECORDS:  # too many for the garbage collector to look at, whenever it does
            return _Ahead(stretches, {})
        for stretch in stretches.values():
            if stretch.entries:
                hash_of(stretch.entries[-1])  # which remembers it
        return _Ahead(stretches, {(entry.partition, entry.index): decode_entry(entry) for entry in entries})

    def _stretch(self, partition: Partition, index: int, max_bytes: int) -> Stretch:
        known = 1 if index else 0
        entries = self._log.read(
            partition, after=index - known, max_records=PARTITION_RECORDS + known, max_bytes=max_bytes
        )
        if known and (not entries or entries[0].index != index):
            return Stretch(index, None, entries)
        following = entries[known:] or self._log.read(partition, after=index, max_records=1)
        return Stretch(index, entries[0] if known else None, following)


def _share(positions: Positions) -> int:
    return min(PARTITION_BYTES, BATCH_BYTES // max(1, len(positions)))
