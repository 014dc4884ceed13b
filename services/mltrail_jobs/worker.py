"""`run_jobs`: the loop of the role `jobs`, which finds due work and does it until told to stop."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import structlog

from mltrail_core.clock import now_us
from mltrail_core.errors import MltrailError, Unavailable
from mltrail_core.readmodel.store import open_read_model
from mltrail_jobs.hashing import find_unhashed_uploads
from mltrail_jobs.perform import perform, working_at
from mltrail_jobs.places import Places
from mltrail_jobs.precedence import Precedence
from mltrail_jobs.queue import open_queue
from mltrail_jobs.sweeper import DueJob, find_due_jobs
from mltrail_jobs.verification import Interrupted

POLL_S = 10.0
"""How often due work is looked for; the first time after as long, so that a server's start is not slowed down."""
_REDIS_SCHEMES = ("redis://", "rediss://", "valkey://", "valkeys://")

logger: structlog.stdlib.BoundLogger = structlog.get_logger("mltrail.jobs")


def run_jobs(
    places: Places,
    stop: threading.Event,
    *,
    precedence: Precedence | None = None,
    poll_s: float = POLL_S,
    clock_us: Callable[[], int] = now_us,
) -> None:
    """Find due jobs and do them until `stop` is set; a job under way is left soon and run again by another worker.

    With a log in Redis, jobs go through RQ, so that each is done once by one of many workers; otherwise they are done
    here. What can't be reached is waited for. `precedence` says when a projector in this process is to go first. It may
    run in any thread; signals are the caller's.
    """
    run = _run_queued if places.log_url.startswith(_REDIS_SCHEMES) else _run_in_process
    with working_at(places, stop, precedence=precedence):
        while not stop.wait(poll_s):
            try:
                run(places, stop, poll_s, clock_us)
            except Unavailable as error:
                logger.warning("jobs wait", action="jobs_wait", error=str(error))


def _find_due(places: Places, at_us: int) -> list[DueJob]:
    """Return what is due by the clock, and what the read model says of uploads past the server: only S3 has any."""
    due = find_due_jobs(at_us)
    if places.artifacts_url.startswith("s3://"):
        with contextlib.closing(open_read_model(places.store_url)) as read_model:
            due += find_unhashed_uploads(read_model, at_us)
    return due


def _run_queued(places: Places, stop: threading.Event, poll_s: float, clock_us: Callable[[], int]) -> None:
    with open_queue(places.log_url) as queue:
        while not stop.is_set():
            for job in _find_due(places, clock_us()):
                if queue.enqueue(job):
                    logger.info("job is due", action="job_enqueued", job_id=job.job_id)
            while not stop.is_set() and queue.work_one():
                pass
            stop.wait(poll_s)


def _run_in_process(places: Places, stop: threading.Event, poll_s: float, clock_us: Callable[[], int]) -> None:
    done: set[str] = set()
    while not stop.is_set():
        due = _find_due(places, clock_us())
        done &= {job.job_id for job in due}
        for job in due:
            if job.job_id in done or stop.is_set():
                continue
            try:
                perform(job.name, job.arguments)
            except Interrupted:
                return
            except MltrailError as error:
                logger.warning(
                    "job failed, to be tried again", action="job_failed", job_id=job.job_id, error=str(error)
                )
            else:
                done.add(job.job_id)
        stop.wait(poll_s)
