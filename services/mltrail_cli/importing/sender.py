"""Appends what an import found missing: each subject has a producer of its own, and equal events make equal bytes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from itertools import count

from sqlalchemy import select

from mltrail_core.errors import Unavailable
from mltrail_core.events import Event
from mltrail_core.ids import Partition, ProducerId
from mltrail_core.intervals import parse_intervals
from mltrail_core.log import EventLog, NewRecord
from mltrail_core.readmodel.store import ReadModel
from mltrail_core.readmodel.tables import producers
from mltrail_core.record import GOOD_RECORD_BYTES, Actor, Record, freeze_record

_APPEND_BYTES = 4 << 20
_APPEND_RECORDS = 256
_PATIENCE_S = 60.0
"""How long an append that the log refuses or leaves unanswered is repeated."""


class Sender:
    """Packs events into records, and appends them in order.

    Two imports of one source that run at once send the same bytes under the same sequences, which the fold drops. A
    later import goes on after the last sequence that the read model has seen, so that what the source gained since
    is not mistaken for what it had.
    """

    def __init__(self, log: EventLog, read_model: ReadModel, identity: str, actor: Actor) -> None:
        self._log = log
        self._read_model = read_model
        self._identity = identity
        self._actor = actor
        self._last: dict[tuple[ProducerId, Partition], int] = {}
        self._waiting: list[NewRecord] = []
        self._waiting_bytes = 0
        self.event_count = 0
        self.record_count = 0

    def producer_of(self, subject: str) -> ProducerId:
        """Return the producer under which things about `subject` are imported from this source."""
        return ProducerId(hashlib.sha256(f"mltrail import\0{self._identity}\0{subject}".encode()).hexdigest()[:24])

    def send(self, subject: str, partition: Partition, events: Iterable[Event]) -> None:
        """Append the events soon, in this order.

        Raises:
            Invalid: a text can't be written; what came before it was sent.
            Unavailable: the log can't be written for a minute.
        """
        producer = self.producer_of(subject)
        for packed in _packed(events):
            sequence = self._last_sequence(producer, partition) + 1
            record = Record(partition, producer, sequence, self._actor, packed)
            frozen = freeze_record(record, salts=_salts(record))
            self._last[producer, partition] = sequence
            self._waiting.append(NewRecord(partition, frozen))
            self._waiting_bytes += len(frozen)
            self.event_count += len(packed)
            self.record_count += 1
            if self._waiting_bytes > _APPEND_BYTES or len(self._waiting) >= _APPEND_RECORDS:
                self.flush()

    def flush(self) -> None:
        """Return once all that was sent is durable."""
        deadline = time.monotonic() + _PATIENCE_S
        while self._waiting:
            try:
                self._log.append(self._waiting)
            except Unavailable as error:
                if time.monotonic() > deadline:
                    raise
                time.sleep(error.retry_after_s)
            else:
                self._waiting.clear()
                self._waiting_bytes = 0

    def _last_sequence(self, producer: ProducerId, partition: Partition) -> int:
        known = self._last.get((producer, partition))
        if known is not None:
            return known
        query = select(producers.c.intervals).where(
            producers.c.producer == producer, producers.c.partition == partition
        )
        with self._read_model.reading() as connection:
            intervals = connection.execute(query).scalar()
        received = parse_intervals(intervals or "").intervals
        return received[-1][1] if received else 0


def _packed(events: Iterable[Event]) -> Iterator[tuple[Event, ...]]:
    packed: list[Event] = []
    size_bytes = 0
    for event in events:
        weight = _weight(event)
        if packed and size_bytes + weight > GOOD_RECORD_BYTES:
            yield tuple(packed)
            packed, size_bytes = [], 0
        packed.append(event)
        size_bytes += weight
    if packed:
        yield tuple(packed)


def _weight(value: object) -> int:
    """Return about how many bytes a value takes in a record."""
    if isinstance(value, str):
        return 4 * len(value) + 56  # at its widest in UTF-8; a free text also has a hash and a salt
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, tuple):
        return sum(_weight(item) for item in value)
    if isinstance(value, int) or value is None:
        return 9
    return sum(_weight(getattr(value, name)) for name in getattr(value, "__slots__", ()))


def _salts(record: Record) -> Iterator[bytes]:
    """Yield the salts of a record's texts: the same for the same record, and not known without all its texts."""
    key = hashlib.sha256(repr((record.producer, record.sequence, record.events)).encode("utf-8", "replace")).digest()
    for number in count():
        yield hashlib.sha256(key + number.to_bytes(8)).digest()[:16]
