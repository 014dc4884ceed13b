"""The job that finds runs whose writers went silent, and lost runs whose writers are heard of again.

A sign of life is a mark beside the log (`mltrail_core.liveness`) or any record that wrote to the run. Silence counts
only while somebody was there to hear: after an outage of the server, of Redis or of this job a whole lease passes.
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import select

from mltrail_core.clock import now_us
from mltrail_core.events import Event, ProducerClosed, RunLost, RunReturned
from mltrail_core.ids import Partition, new_producer_id, partition_of
from mltrail_core.liveness import API_DUTY, API_PATIENCE_S, REAPER_DUTY, Liveness, open_liveness
from mltrail_core.log import EventLog, NewRecord, Positions, open_log
from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_core.readmodel.tables import positions
from mltrail_core.record import Actor, Record, freeze_record
from mltrail_jobs.leases import Leases
from mltrail_jobs.watched_runs import WatchedRun, last_written, watched_runs, written_since_lost

PROJECTOR_BOUND_S = 5.0
"""How long a verdict waits for the projector; later it is left to the next round."""
_POLL_S = 0.02
_EVENTS_OF_A_RECORD = 1000
_CLOCK_SLACK_US = 1_000_000
_ACTOR = Actor("mltrail")

logger: structlog.stdlib.BoundLogger = structlog.get_logger("mltrail.jobs")


@dataclass(frozen=True, slots=True)
class Reaped:
    """The runs that a round found lost, and those that it found returned."""

    lost: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()


def reap_silent_runs(log_url: str, store_url: str, leases: Leases) -> Reaped:
    """Append what a round finds; idempotent, since saying it again changes nothing.

    Raises:
        Unavailable: log, read model or marks can't be reached; the next round finds the same.
    """
    with (
        contextlib.closing(open_read_model(store_url)) as read_model,
        contextlib.closing(open_liveness(log_url)) as liveness,
        contextlib.closing(open_log(log_url)) as log,
    ):
        return reap(log, read_model, liveness, leases)


def reap(
    log: EventLog,
    read_model: ReadModel,
    liveness: Liveness,
    leases: Leases,
    *,
    projector_bound_s: float = PROJECTOR_BOUND_S,
) -> Reaped:
    """Do one round on open ports; see `reap_silent_runs`."""
    heard_since_us = _heard_since_us(liveness, leases)
    liveness.forget()
    with read_model.reading() as connection:
        watched = watched_runs(connection)
        written = written_since_lost(connection)
    watched = [run for run in watched if run.producers or run.last_known_us or leases.abandoned_after_s is not None]
    seen_us = _last_signs(liveness, watched)
    returned = [
        run
        for run in watched
        if run.last_known_us is not None and (run.run_id in written or seen_us[run.run_id] > run.last_known_us)
    ]
    lost: dict[str, tuple[int, int]] = {}
    if heard_since_us is not None:
        silent = [
            run.run_id
            for run in watched
            if run.last_known_us is None
            and _is_silent(run, seen_us[run.run_id], heard_since_us, liveness.now_us(), leases)
        ]
        lost = _confirm(silent, log, read_model, liveness, leases, heard_since_us, projector_bound_s)
    events: list[Event] = [RunReturned(now_us(), run.run_id, seen_us[run.run_id]) for run in returned]
    events += [RunLost(now_us(), run_id, last_us, lease_s) for run_id, (last_us, lease_s) in lost.items()]
    _append(log, events)
    for run in returned:
        logger.info("run returned", action="run_returned", run_id=run.run_id)
    for run_id, (last_us, lease_s) in lost.items():
        logger.warning("run is lost", action="run_lost", run_id=run_id, last_seen_us=last_us, lease_s=lease_s)
    return Reaped(tuple(lost), tuple(run.run_id for run in returned))


def _heard_since_us(liveness: Liveness, leases: Leases) -> int | None:
    """Return since when living writers could make themselves heard, or None while they can't."""
    own = liveness.attend(REAPER_DUTY, patience_s=leases.lost_after_s / 2)
    api = liveness.attended(API_DUTY)
    if api is None:  # trainers write to Redis or the folder themselves
        return own.since_us
    if api.until_us < own.until_us - API_PATIENCE_S * 1e6:
        return None
    return max(own.since_us, api.since_us)


def _last_signs(liveness: Liveness, watched: Sequence[WatchedRun]) -> dict[str, int]:
    """Return when each run's own writers were last heard of (µs UTC)."""
    present_us = liveness.now_us()
    marks = liveness.last_seen([subject for run in watched for subject in run.subjects])
    future = [subject for subject, us in marks.items() if us > present_us + _CLOCK_SLACK_US]
    if future:  # the clock was put back: without this they would count as alive until it comes there again
        liveness.mark(future)
        marks |= dict.fromkeys(future, present_us)
    return {
        run.run_id: max(run.last_appended_us, *(marks.get(subject, 0) for subject in run.subjects)) for run in watched
    }


def _is_silent(run: WatchedRun, seen_us: int, heard_since_us: int, present_us: int, leases: Leases) -> bool:
    lease_s = _lease_s(run, leases)
    if lease_s is None:
        return False
    return present_us - max(seen_us, heard_since_us, run.created_us) > lease_s * 1_000_000


def _lease_s(run: WatchedRun, leases: Leases) -> int | None:
    return leases.lost_after_s if run.producers else leases.abandoned_after_s


def _confirm(
    run_ids: Sequence[str],
    log: EventLog,
    read_model: ReadModel,
    liveness: Liveness,
    leases: Leases,
    heard_since_us: int,
    projector_bound_s: float,
) -> dict[str, tuple[int, int]]:
    """Return those that are still silent by all that the log holds, with their last sign of life and their lease.

    A projector that is behind may not have come to the run's end; so runs of its partition are not judged.
    """
    if not run_ids:
        return {}
    current = _projected(read_model, log.heads(), {partition_of(run_id) for run_id in run_ids}, projector_bound_s)
    with read_model.reading() as connection:
        watched = [run for run in watched_runs(connection, run_ids) if partition_of(run.run_id) in current]
        places = {run.run_id: last_written(connection, run.run_id) for run in watched}
    seen_us = _last_signs(liveness, watched)
    lost = {}
    for run in watched:
        written_us = _appended_us(log, partition_of(run.run_id), places[run.run_id])
        last_us = None if written_us is None else max(seen_us[run.run_id], written_us)
        lease_s = _lease_s(run, leases)
        if last_us is None or lease_s is None or run.last_known_us is not None:
            continue
        if _is_silent(run, last_us, heard_since_us, liveness.now_us(), leases):
            lost[run.run_id] = (last_us, lease_s)
    return lost


def _appended_us(log: EventLog, partition: Partition, index: int) -> int | None:
    """Return when a record was appended; None when the log does not have it any more, so that nobody knows."""
    entries = log.read(partition, after=index - 1, max_records=1)
    return entries[0].appended_us if entries and entries[0].index == index else None


def _projected(read_model: ReadModel, heads: Positions, partitions: set[Partition], bound_s: float) -> set[Partition]:
    """Return the partitions that are projected to `heads`, after waiting for them a little."""
    deadline = time.monotonic() + bound_s
    while True:
        with read_model.reading() as connection:
            found = connection.execute(select(positions.c.partition, positions.c["index"]))
            reached = {Partition(name) for name, index in found if index >= heads[Partition(name)]}
        if partitions <= reached or time.monotonic() >= deadline:
            return reached & partitions
        time.sleep(_POLL_S)


def _append(log: EventLog, events: Sequence[Event]) -> None:
    """Append the events, each to its run's partition, by a producer that says goodbye at once."""
    if not events:
        return
    by_partition: dict[Partition, list[Event]] = defaultdict(list)
    for event in events:
        assert isinstance(event, RunLost | RunReturned)
        by_partition[partition_of(event.run_id)].append(event)
    producer = new_producer_id()
    records = []
    for partition, said in by_partition.items():
        batches = [said[first : first + _EVENTS_OF_A_RECORD] for first in range(0, len(said), _EVENTS_OF_A_RECORD)]
        for sequence, batch in enumerate(batches, start=1):
            goodbye = [ProducerClosed(now_us(), sequence)] if sequence == len(batches) else []
            record = Record(partition, producer, sequence, _ACTOR, (*batch, *goodbye))
            records.append(NewRecord(partition, freeze_record(record)))
    log.append(records)
