"""The deterministic fold: what each record of a partition changes, or why it is rejected.

Decisions depend on the records of the partition alone, in order: the same log gives the same rows on every replay,
whatever the batches and however often a record was sent.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache, lru_cache

from mltrail_core.errors import Invalid
from mltrail_core.events import BY_WIRE_NAME, Event, MetricsLogged, ProducerClosed
from mltrail_core.events.home import home_of
from mltrail_core.ids import CONTROL, Partition
from mltrail_core.log import LogEntry
from mltrail_core.readmodel import tables
from mltrail_core.record import Actor, Record, decode_with_identity
from mltrail_core.rules import Reason, id_fault
from mltrail_core.token import ATTESTED_BY_TOKEN, stand_in
from mltrail_projector.fold import Fold, Place, Reject, refuse
from mltrail_projector.handlers import handle
from mltrail_projector.marks import MAX_INTERVALS, Receipt
from mltrail_projector.rows import Row

MAX_SUBJECT_CHARACTERS = 256
"""What is kept of a rejected event's subject: registered models have the longest names; the column is indexed."""

MAX_MESSAGE_CHARACTERS = 2000

_NO_CHANGE = frozenset({MetricsLogged, ProducerClosed})
_IDS = ("run_id", "model_id", "owner", "experiment_id", "proposed_id")
_SUBJECTS = (*_IDS, "webhook_id", "name", "token_id")
_id_fault = lru_cache(maxsize=4096)(id_fault)  # records of one run come by the thousand


@dataclass(frozen=True, slots=True)
class Decoded:
    """A log entry with the record that it holds, or with why it holds none."""

    entry: LogEntry
    record: Record | None
    identity: bytes = b""
    fault: str | None = None


def decode_entry(entry: LogEntry) -> Decoded:
    """Return the entry with its record; bytes that are none are kept with the fault, to be rejected by the fold."""
    try:
        record, identity = decode_with_identity(entry.frozen)
    except Invalid as error:
        return Decoded(entry, None, fault=str(error))
    return Decoded(entry, record, identity)


def fold_entry(fold: Fold, decoded: Decoded) -> None:
    """Apply one record: its accepted events change rows, the others become rejections.

    Any exception but `Reject` from a handler is a bug of ours and passes through.
    """
    entry, record = decoded.entry, decoded.record
    if record is None:
        _reject_record(fold, entry, None, Reason.UNDECODABLE, decoded.fault or "")
        return
    if record.partition != entry.partition:
        message = f"the record is for partition {record.partition} and was appended to {entry.partition}"
        _reject_record(fold, entry, record, Reason.WRONG_PARTITION, message)
        return
    receipt = fold.marks.receive(record, decoded.identity, entry.appended_us)
    if receipt is Receipt.DUPLICATE:
        fold.counts["duplicate"] += 1
        return
    if receipt is Receipt.REUSED:
        message = f"producer {record.producer} used sequence {record.sequence} again for another record"
        _reject_record(fold, entry, record, Reason.SEQUENCE_REUSED, message)
        return
    if receipt is Receipt.TOO_SPARSE:
        message = f"producer {record.producer} left more than {MAX_INTERVALS:,} holes in its sequences"
        _reject_record(fold, entry, record, Reason.INVALID, message)
        return
    sender = _sender(fold, record)
    for number, event in enumerate(record.events):
        place = Place(
            entry.partition,
            entry.index,
            number,
            entry.appended_us,
            sender.name,
            sender.known,
            record.producer,
        )
        try:
            _refuse_stranger(event, entry.partition)
            handle(event, fold, place)
        except Reject as rejection:
            _put_rejection(fold, entry, record, number, subject_of(event), event.WIRE_NAME, rejection)
            continue
        fold.counts["projected"] += 1
        if type(event) in _NO_CHANGE:
            continue
        subject = subject_of(event)
        if subject is not None:
            change: Row = {"subject": subject, "partition": entry.partition, "index": entry.index}
            fold.rows.put(tables.changes, change)


def _sender(fold: Fold, record: Record) -> Actor:
    """Return who sent the record: whose token a server saw, else the actor that the record itself names.

    Tokens are rows of `control`. Its own fold looks the user up; every other writes what stands for it, and readers
    look it up (see docs/decisions, "who sent it").
    """
    attestation = record.attestation
    if attestation is None or attestation.how != ATTESTED_BY_TOKEN:
        return record.actor
    if record.partition != CONTROL:
        return Actor(stand_in(attestation.reference), "verified")
    token = fold.rows.get(tables.tokens, attestation.reference)
    return record.actor if token is None else Actor(str(token["user"]), "verified")


def _refuse_stranger(event: Event, partition: Partition) -> None:
    for name in _fields_among(event.WIRE_NAME, _IDS):
        subject = getattr(event, name)
        if subject is not None:
            refuse(Reason.INVALID, _id_fault(str(subject)))
    home = home_of(event)
    if home is not None and home != partition:
        message = f"{event.WIRE_NAME} of {subject_of(event)} belongs to partition {home}, not to {partition}"
        raise Reject(Reason.WRONG_PARTITION, message)


def _reject_record(fold: Fold, entry: LogEntry, record: Record | None, reason: Reason, message: str) -> None:
    first = record.events[0] if record is not None and record.events else None
    _put_rejection(fold, entry, record, -1, None if first is None else subject_of(first), None, Reject(reason, message))


def _put_rejection(
    fold: Fold,
    entry: LogEntry,
    record: Record | None,
    number: int,
    subject: str | None,
    wire_name: str | None,
    rejection: Reject,
) -> None:
    fold.counts["rejected"] += 1
    fold.rows.put(
        tables.rejections,
        {
            "partition": entry.partition,
            "index": entry.index,
            "number": number,
            "subject": None if subject is None else subject[:MAX_SUBJECT_CHARACTERS],
            "wire_name": wire_name,
            "reason": rejection.reason.value,
            "message": rejection.message[:MAX_MESSAGE_CHARACTERS],
            "producer": None if record is None else record.producer,
            "sequence": None if record is None else record.sequence,
            "appended_us": entry.appended_us,
        },
    )


def subject_of(event: Event) -> str | None:
    """Return what the event is about: a run, logged model, owner of artifacts, experiment, webhook, or model's name."""
    for name in _fields_among(event.WIRE_NAME, _SUBJECTS):
        subject = getattr(event, name)
        if subject is not None:
            return str(subject)
    return None


@cache
def _fields_among(wire_name: str, names: tuple[str, ...]) -> tuple[str, ...]:
    own = {field.name for field in fields(BY_WIRE_NAME[wire_name])}
    return tuple(name for name in names if name in own)
