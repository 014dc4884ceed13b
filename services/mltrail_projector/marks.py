"""Which sequences of which producers were received: what makes re-delivery harmless and completeness provable."""

from __future__ import annotations

from collections import defaultdict
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


class Marks:
    """Producers' marks in one transaction; the identities of fresh records are written as runs of sequences."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._received: dict[tuple[str, str], IntervalSet] = {}
        self._last_appended_us: dict[tuple[str, str], int] = {}
        self._fresh: dict[tuple[str, str], dict[int, bytes]] = defaultdict(dict)

    def receive(self, record: Record, identity: bytes, appended_us: int) -> Receipt:
        """Mark the record's sequence as received, unless it was before."""
        key = (record.producer, record.partition)
        received = self._received.get(key)
        if received is None:
            received = self._begin(key, appended_us)
        if record.sequence in received:
            known = self._identity(key, record.sequence)
            return Receipt.DUPLICATE if known == identity[:IDENTITY_BYTES] else Receipt.REUSED
        added = received.add(record.sequence)
        if len(added.intervals) > MAX_INTERVALS:
            return Receipt.TOO_SPARSE
        self._received[key] = added
        self._last_appended_us[key] = appended_us
        self._fresh[key][record.sequence] = identity[:IDENTITY_BYTES]
        return Receipt.FRESH

    def _begin(self, key: tuple[str, str], appended_us: int) -> IntervalSet:
        row = self._rows.get(tables.producers, *key)
        if row is None:
            absent = dict.fromkeys(("last_sequence", "run_id", "host", "process_id", "rank", "opened_us"))
            row = {"producer": key[0], "partition": key[1], "intervals": "", **absent, "last_appended_us": appended_us}
            self._rows.put(tables.producers, row)
        self._received[key] = parse_intervals(str(row["intervals"]))
        return self._received[key]

    def flush(self) -> None:
        """Put marks into rows, and the identities of fresh records, one for each run of consecutive sequences."""
        for key, last_us in self._last_appended_us.items():
            row = self._rows.get(tables.producers, *key)
            assert row is not None, "the row was put when the first record was received"
            self._rows.update(tables.producers, row, intervals=str(self._received[key]), last_appended_us=last_us)
        self._last_appended_us.clear()
        for (producer, partition), identities in self._fresh.items():
            first: int | None = None
            for sequence in sorted(identities):
                if sequence - 1 not in identities:
                    first = sequence
                if sequence + 1 not in identities:
                    assert first is not None
                    run = b"".join(identities[number] for number in range(first, sequence + 1))
                    self._rows.put(
                        tables.producer_records,
                        {"producer": producer, "partition": partition, "first_sequence": first, "identities": run},
                    )
        self._fresh.clear()

    def _identity(self, key: tuple[str, str], sequence: int) -> bytes:
        if sequence in self._fresh[key]:
            return self._fresh[key][sequence]
        row = self._rows.last_at_most(
            tables.producer_records, "first_sequence", sequence, producer=key[0], partition=key[1]
        )
        if row is not None:
            first, identities = row["first_sequence"], row["identities"]
            assert isinstance(first, int)
            assert isinstance(identities, bytes)
            offset = (sequence - first) * IDENTITY_BYTES
            if offset < len(identities):
                return identities[offset : offset + IDENTITY_BYTES]
        raise LookupError(f"sequence {sequence} of producer {key[0]} is marked as received, its identity is missing")
