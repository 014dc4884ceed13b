"""Which sequences of which producers were received: what makes re-delivery harmless and completeness provable."""

from __future__ import annotations

from enum import Enum, auto

from mltrail_core.intervals import IntervalSet, parse_intervals
from mltrail_core.readmodel import tables
from mltrail_core.record import Record
from mltrail_projector.rows import Rows

IDENTITY_BYTES = 8
"""Of each record's identity hash: enough to tell a re-send from another record under the same number."""

MAX_INTERVALS = 10_000
"""Of one producer: a record that would leave more holes is rejected; honest producers leave a handful."""


class Receipt(Enum):
    """What a record's sequence says about it."""

    FRESH = auto()
    DUPLICATE = auto()
    REUSED = auto()
    TOO_SPARSE = auto()


class _Received:
    """The sequences of one producer in one partition. They mostly come in order: those that follow the last interval
    only move its end."""

    def __init__(self, intervals: IntervalSet) -> None:
        self.appended_us: int | None = None
        """Of the last fresh record of the transaction."""
        self.fresh: list[tuple[int, bytearray]] = []
        """Identities of fresh records, in runs of consecutive sequences, each with its first sequence."""
        self._earlier, self._first, self._last = IntervalSet(), 0, 0
        self._set(intervals)

    def __contains__(self, sequence: int) -> bool:
        return self._first <= sequence <= self._last or sequence in self._earlier

    def intervals(self) -> IntervalSet:
        """Return all that was received."""
        return IntervalSet((*self._earlier.intervals, (self._first, self._last))) if self._last else IntervalSet()

    def add(self, sequence: int) -> bool:
        """Mark a sequence as received, unless that would leave more than `MAX_INTERVALS`; return whether it did."""
        if sequence == self._last + 1:
            self._last = sequence
            self._first = self._first or sequence
            return True
        added = self.intervals().add(sequence)
        if len(added.intervals) > MAX_INTERVALS:
            return False
        self._set(added)
        return True

    def keep(self, sequence: int, identity: bytes) -> None:
        """Keep the identity of a fresh record."""
        if self.fresh:
            first, identities = self.fresh[-1]
            if sequence == first + len(identities) // IDENTITY_BYTES:
                identities += identity[:IDENTITY_BYTES]
                return
        self.fresh.append((sequence, bytearray(identity[:IDENTITY_BYTES])))

    def _set(self, intervals: IntervalSet) -> None:
        *earlier, latest = intervals.intervals or ((0, 0),)
        self._first, self._last = latest
        self._earlier = IntervalSet(tuple(earlier))


class Marks:
    """Producers' marks in one transaction; the identities of fresh records are written as runs of sequences."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._received: dict[tuple[str, str], _Received] = {}

    def receive(self, record: Record, identity: bytes, appended_us: int) -> Receipt:
        """Mark the record's sequence as received, unless it was before."""
        key = (record.producer, record.partition)
        received = self._received.get(key)
        if received is None:
            received = self._begin(key, appended_us)
        if record.sequence in received:
            known = self._identity(key, record.sequence)
            return Receipt.DUPLICATE if known == identity[:IDENTITY_BYTES] else Receipt.REUSED
        if not received.add(record.sequence):
            return Receipt.TOO_SPARSE
        received.appended_us = appended_us
        received.keep(record.sequence, identity)
        return Receipt.FRESH

    def _begin(self, key: tuple[str, str], appended_us: int) -> _Received:
        row = self._rows.get(tables.producers, *key)
        if row is None:
            absent = dict.fromkeys(("last_sequence", "run_id", "host", "process_id", "rank", "opened_us"))
            row = {"producer": key[0], "partition": key[1], "intervals": "", **absent, "last_appended_us": appended_us}
            self._rows.put(tables.producers, row)
        self._received[key] = _Received(parse_intervals(str(row["intervals"])))
        return self._received[key]

    def flush(self) -> None:
        """Put marks into rows, and the identities of fresh records, one for each run of consecutive sequences."""
        for (producer, partition), received in self._received.items():
            if received.appended_us is None:
                continue
            row = self._rows.get(tables.producers, producer, partition)
            assert row is not None, "the row was put when the first record was received"
            intervals = str(received.intervals())
            self._rows.update(tables.producers, row, intervals=intervals, last_appended_us=received.appended_us)
            for first, identities in received.fresh:
                self._rows.put(
                    tables.producer_records,
                    {
                        "producer": producer,
                        "partition": partition,
                        "first_sequence": first,
                        "identities": bytes(identities),
                    },
                )
            received.appended_us = None
            received.fresh.clear()

    def _identity(self, key: tuple[str, str], sequence: int) -> bytes:
        for first, fresh in self._received[key].fresh:
            offset = (sequence - first) * IDENTITY_BYTES
            if 0 <= offset < len(fresh):
                return bytes(fresh[offset : offset + IDENTITY_BYTES])
        row = self._rows.last_at_most(
            tables.producer_records, "first_sequence", sequence, producer=key[0], partition=key[1]
        )
        if row is not None:
            begin, identities = row["first_sequence"], row["identities"]
            assert isinstance(begin, int)
            assert isinstance(identities, bytes)
            offset = (sequence - begin) * IDENTITY_BYTES
            if offset < len(identities):
                return identities[offset : offset + IDENTITY_BYTES]
        raise LookupError(f"sequence {sequence} of producer {key[0]} is marked as received, its identity is missing")
