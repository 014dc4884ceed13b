"""How a log begins: its identity, and the first record, which is the same whoever writes it."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Sequence

from mltrail_core.errors import Conflict
from mltrail_core.events import ExperimentCreated
from mltrail_core.ids import CONTROL, DEFAULT_EXPERIMENT_ID, PARTITION_COUNT, ProducerId
from mltrail_core.log.port import EventLog, LogEntry, LogIdentity, NewRecord, Positions
from mltrail_core.record import FORMAT_VERSION, Actor, FrozenRecord, Record, freeze_record

GENESIS_PRODUCER = ProducerId("genesis")


def fresh_identity() -> LogIdentity:
    """Return the identity of a log that begins now."""
    return LogIdentity(secrets.token_hex(16), FORMAT_VERSION, PARTITION_COUNT, time.time_ns() // 1000)


def refuse_other_identity(found: LogIdentity, wanted: LogIdentity | None, url: str) -> None:
    """Raise `Conflict` unless `found`, at `url`, is of our format and, with `wanted` given, that very log."""
    if found.format_version != FORMAT_VERSION or found.partition_count != PARTITION_COUNT:
        raise Conflict(
            f"the log at {url} has format {found.format_version} with {found.partition_count} partitions; "
            f"this mltrail reads format {FORMAT_VERSION} with {PARTITION_COUNT}"
        )
    if wanted is not None and found != wanted:
        raise Conflict(
            f"{url} holds another log, {found.log_id}, not {wanted.log_id}; copy into an empty folder or database"
        )


def refuse_gaps(entries: Sequence[LogEntry], heads: Positions, url: str) -> None:
    """Raise `Conflict` unless each entry follows its partition's head or an entry before it, and no time goes back."""
    before = {partition: (head, 0) for partition, head in heads.items()}
    for entry in entries:
        head, last_us = before[entry.partition]
        if entry.index != head + 1 or entry.appended_us < last_us:
            raise gap_conflict(entry, url, head)
        before[entry.partition] = (entry.index, entry.appended_us)


def gap_conflict(entry: LogEntry, url: str, head: int) -> Conflict:
    """Return the error for a copied entry that does not follow."""
    return Conflict(
        f"partition {entry.partition} of {url} stands at {head}; a record with index {entry.index} and time "
        f"{entry.appended_us} can't follow"
    )


def first_record(identity: LogIdentity) -> FrozenRecord:
    """Return the record that creates the default experiment; equal bytes for one log, so that two starts are one."""
    salt = hashlib.sha256(identity.log_id.encode()).digest()[:16]
    default = ExperimentCreated(identity.created_us, DEFAULT_EXPERIMENT_ID, "Default")
    record = Record(CONTROL, GENESIS_PRODUCER, 1, Actor("mltrail"), (default,))
    return freeze_record(record, salts=iter([salt]))


def ensure_begun(log: EventLog) -> None:
    """Append the first record when `control` is empty. Two processes may both do it: the fold drops the second.

    Raises:
        Unavailable: the log can't be reached.
    """
    if log.heads()[CONTROL] == 0:
        log.append([NewRecord(CONTROL, first_record(log.identity))])
