"""Which sequences of which producers were received: what makes re-delivery harmless and completeness provable."""

from __future__ import annotations

from collections import defaultdict
from enum import Enum, auto

from mltrail_core.intervals import parse_intervals
from mltrail_core.readmodel import tables
from mltrail_core.record import Record
from mltrail_projector.rows import Rows

IDENTITY_BYTES = 8
"""Of each record's identity hash: enough to tell a re-send from another record under the same number."""


class Receipt(Enum):
    """What a record's sequence says about it."""

    FRESH = auto()
    DUPLICATE = auto()
    REUSED = auto()


class Marks:
    """Producers' marks in one transaction; the identities of fresh records are written as runs of sequences."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._fresh: dict[tuple[str, str], dict[int, bytes]] = defaultdict(dict)

    def receive(self, record: Record, identity: bytes, appended_us: int) -> Receipt:
        """Mark the record's sequence as received, unless it was before."""
        key = (record.producer, record.partition)
        row = self._rows.get(tables.producers, *key)
        received = parse_intervals("" if row is None else str(row["intervals"]))
        if record.sequence in received:
            known = self._identity(key, record.sequence)
            return Receipt.DUPLICATE if known == identity[:IDENTITY_BYTES] else Receipt.REUSED
        self._fresh[key][record.sequence] = identity[:IDENTITY_BYTES]
        self._rows.put(
            tables.producers,
            {
                "producer": record.producer,
                "partition": record.partition,
                "intervals": str(received.add(record.sequence)),
                "last_sequence": None if row is None else row["last_sequence"],
                "run_id": None if row is None else row["run_id"],
                "host": None if row is None else row["host"],
                "process_id": None if row is None else row["process_id"],
                "rank": None if row is None else row["rank"],
                "opened_us": None if row is None else row["opened_us"],
                "last_appended_us": appended_us,
            },
        )
        return Receipt.FRESH

    def flush(self) -> None:
        """Put the identities of fresh records into rows, one for each run of consecutive sequences."""
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
        rows = self._rows.select(tables.producer_records, producer=key[0], partition=key[1])
        for row in rows:
            first, identities = row["first_sequence"], row["identities"]
            assert isinstance(first, int)
            assert isinstance(identities, bytes)
            offset = (sequence - first) * IDENTITY_BYTES
            if 0 <= offset < len(identities):
                return identities[offset : offset + IDENTITY_BYTES]
        raise LookupError(f"sequence {sequence} of producer {key[0]} is marked as received, its identity is missing")
