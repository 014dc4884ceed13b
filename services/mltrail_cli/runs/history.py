"""Who changed what of a run, and when: read from the log itself, at the places that the read model names."""

from __future__ import annotations

from dataclasses import dataclass, fields

from sqlalchemy import Connection, select

from mltrail_api.identity.queries import load_tokens
from mltrail_core.errors import Invalid
from mltrail_core.events import Event, MetricsLogged
from mltrail_core.ids import Partition
from mltrail_core.log import EventLog, LogEntry
from mltrail_core.readmodel.store import ReadModel
from mltrail_core.readmodel.tables import changes, rejections
from mltrail_core.record import Actor, Record, decode_record
from mltrail_core.token import ATTESTED_BY_TOKEN
from mltrail_projector.entries import subject_of

_LEFT_OUT = ("occurred_us", "run_id")


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a run as the log holds it. `rejected` is why the fold did not accept it, None when it did."""

    partition: str
    index: int
    number: int
    appended_us: int
    occurred_us: int
    actor: str
    known: str
    """`verified` by a token, or `claimed` by the producer."""
    token_id: str | None
    """The token that a server saw with a record that the SDK froze."""
    producer: str
    sequence: int
    event: str
    data: dict[str, object]
    rejected: str | None


@dataclass(frozen=True, slots=True)
class _Place:
    partition: Partition
    index: int


def history_of(log: EventLog, read_model: ReadModel, run_id: str) -> list[Change]:
    """Return what was said of the run, accepted or not, in the order of the log. Records of metrics alone are left out.

    Raises:
        Unavailable: log or read model can't be reached.
        Invalid: a record can't be decoded, or the log ends before it.
    """
    with read_model.reading() as connection:
        places = _places(connection, run_id)
        reasons = _reasons(connection, run_id)
        users = {token.token_id: token.user for token in load_tokens(connection)}
    found: list[Change] = []
    for place in places:
        entries = log.read(place.partition, after=place.index - 1, max_records=1)
        if not entries or entries[0].index != place.index:
            raise Invalid(f"the log {log.url} holds no record {place.index} in partition {place.partition}")
        found += _changes_in(entries[0], run_id, reasons, users)
    return found


def _places(connection: Connection, run_id: str) -> list[_Place]:
    accepted = select(changes.c.partition, changes.c["index"]).where(changes.c.subject == run_id)
    rejected = select(rejections.c.partition, rejections.c["index"]).where(rejections.c.subject == run_id)
    return sorted(
        (_Place(Partition(partition), index) for partition, index in connection.execute(accepted.union(rejected))),
        key=lambda place: (place.partition, place.index),
    )


def _reasons(connection: Connection, run_id: str) -> dict[tuple[str, int, int], str]:
    table = rejections.c
    rows = connection.execute(
        select(table.partition, table["index"], table.number, table.message).where(table.subject == run_id)
    )
    return {(partition, index, number): message for partition, index, number, message in rows}


def _changes_in(
    entry: LogEntry, run_id: str, reasons: dict[tuple[str, int, int], str], users: dict[str, str]
) -> list[Change]:
    record = decode_record(entry.frozen)
    sender = _sender(record, users)
    whole = reasons.get((entry.partition, entry.index, -1))
    return [
        _change(entry, record, sender, number, event, whole or reasons.get((entry.partition, entry.index, number)))
        for number, event in enumerate(record.events)
        if subject_of(event) == run_id
    ]


def _sender(record: Record, users: dict[str, str]) -> Actor:
    """Return who sent the record: the user of the token that a server saw, else the actor that the record names."""
    user = users.get(_token_id(record) or "")
    return record.actor if user is None else Actor(user, "verified")


def _token_id(record: Record) -> str | None:
    attestation = record.attestation
    return attestation.reference if attestation is not None and attestation.how == ATTESTED_BY_TOKEN else None


def _change(entry: LogEntry, record: Record, sender: Actor, number: int, event: Event, rejected: str | None) -> Change:
    return Change(
        partition=entry.partition,
        index=entry.index,
        number=number,
        appended_us=entry.appended_us,
        occurred_us=event.occurred_us,
        actor=sender.name,
        known=sender.known,
        token_id=_token_id(record),
        producer=record.producer,
        sequence=record.sequence,
        event=event.WIRE_NAME,
        data=_data(event),
        rejected=rejected,
    )


def _data(event: Event) -> dict[str, object]:
    if isinstance(event, MetricsLogged):
        return {"keys": list(event.keys), "points": len(event.values) // 8}
    given = {field.name: getattr(event, field.name) for field in fields(event) if field.name not in _LEFT_OUT}
    return {name: value for name, value in given.items() if value is not None and value != ()}
