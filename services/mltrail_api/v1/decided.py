"""What the fold decided about a record that somebody sent, as API and command line tell it.

A record is asked for by its identity, which its sender knows before it is sent, and not by its index: a record that was
sent twice has two indices, and the fold judged the first.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel
from sqlalchemy import Connection, select

from mltrail_api.v1.registry_history import load_changes
from mltrail_core.ids import CONTROL, Partition
from mltrail_core.intervals import parse_intervals
from mltrail_core.log import EventLog
from mltrail_core.readmodel.tables import producers, rejections
from mltrail_core.record import decode_record

_MAX_LOOKED_AT = 1000
"""Versions of the model that were made at the time of the producer's last record or before; the first is nearly always
the one."""


class RejectedEvent(BaseModel):
    """An event of the record that was rejected, and why; `number` -1 stands for the whole record."""

    number: int
    wire_name: str | None
    reason: str
    message: str


class Outcome(BaseModel):
    """What became of a record. `pending`: it was not received, or not projected yet; ask again.

    `rejected` says that at least one of its events was; the others were accepted. `version` is the number that the fold
    gave to the version of the asked model that the record made.
    """

    state: Literal["pending", "accepted", "rejected"]
    rejections: list[RejectedEvent] = []
    version: int | None = None


def load_outcome(
    connection: Connection,
    log: EventLog,
    partition: Partition,
    producer: str,
    sequence: int,
    model: str | None = None,
) -> Outcome:
    """Return what was decided about a record, as the read model has it."""
    row = connection.execute(
        select(producers.c.intervals, producers.c.last_appended_us).where(
            producers.c.producer == producer, producers.c.partition == partition
        )
    ).first()
    if row is None or sequence not in parse_intervals(row.intervals):
        return Outcome(state="pending")
    rejected = connection.execute(
        select(rejections.c.number, rejections.c.wire_name, rejections.c.reason, rejections.c.message)
        .where(
            rejections.c.partition == partition,
            rejections.c.producer == producer,
            rejections.c.sequence == sequence,
        )
        .order_by(rejections.c["index"], rejections.c.number)
    ).mappings()
    found = [RejectedEvent.model_validate(dict(rejection)) for rejection in rejected]
    version = None
    if model is not None and partition == CONTROL:
        version = _version(connection, log, producer, sequence, model, row.last_appended_us)
    return Outcome(state="rejected" if found else "accepted", rejections=found, version=version)


def _version(
    connection: Connection, log: EventLog, producer: str, sequence: int, model: str, until_us: int
) -> int | None:
    """Return the number of the version that the record made: the log says whose record stands at a version's index."""
    made = load_changes(connection, model, until_us=until_us, kinds=("created",), limit=_MAX_LOOKED_AT)
    for change in made or ():
        if change.version is None:
            continue  # the model itself
        for entry in log.read(CONTROL, after=change.index - 1, max_records=1):
            record = decode_record(entry.frozen)
            if (record.producer, record.sequence) == (producer, sequence):
                return change.version
    return None
