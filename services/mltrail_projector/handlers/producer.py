"""What the events of producers change: who wrote to a run, from where, and up to which sequence."""

from __future__ import annotations

from mltrail_core.events import ProducerClosed, ProducerOpened
from mltrail_core.readmodel import tables
from mltrail_core.rules import Reason
from mltrail_projector.fold import Fold, Place, Reject
from mltrail_projector.rows import Row


def opened(event: ProducerOpened, fold: Fold, place: Place) -> None:
    """The producer writes to this run."""
    fold.rows.update(
        tables.producers,
        _known(fold, place),
        run_id=event.run_id,
        host=event.host,
        process_id=event.process_id,
        rank=event.rank,
        opened_us=event.occurred_us,
    )


def closed(event: ProducerClosed, fold: Fold, place: Place) -> None:
    """The producer sent no more than this; a second word that differs is rejected."""
    row = _known(fold, place)
    if row["last_sequence"] not in (None, event.last_sequence):
        message = f"the producer closed at sequence {row['last_sequence']!r} already, not at {event.last_sequence}"
        raise Reject(Reason.INVALID, message)
    fold.rows.update(tables.producers, row, last_sequence=event.last_sequence)


def _known(fold: Fold, place: Place) -> Row:
    row = fold.rows.get(tables.producers, place.producer, place.partition)
    assert row is not None, "a record is marked as received before its events are handled"
    return row
