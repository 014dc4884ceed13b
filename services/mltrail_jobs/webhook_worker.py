"""`run_deliveries`: the loop of the role `jobs` that tells webhooks what they wait for, until told to stop.

A queue of its own, with threads of its own: what other jobs do for minutes does not hold deliveries up, nor the other
way round.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import structlog

from mltrail_core.clock import now_us
from mltrail_core.errors import MltrailError, Unavailable
from mltrail_jobs.perform import working_at
from mltrail_jobs.places import Places
from mltrail_jobs.queue import RETRY_AFTER_S, WEBHOOK_QUEUE_NAME, open_queue
from mltrail_jobs.sweeper import DueJob
from mltrail_jobs.verification import Interrupted
from mltrail_jobs.webhook_desk import DeliveryDesk, DueDelivery, open_desk

POLL_S = 1.0
"""How often due deliveries are looked for: the longest that a webhook waits for news."""
THREADS = 4
_REMEMBERED_S = 30
"""How long an attempt that was made is not made again. What is due is looked for only while the read model is as new as
the log, so this has to cover no more than the look that was under way when the attempt ended."""
_ATTEMPT_TIMEOUT_S = 60
_AWAY_POLLS = 10
"""What can't be reached is asked for so many times less often."""
_REDIS_SCHEMES = ("redis://", "rediss://", "valkey://", "valkeys://")

logger: structlog.stdlib.BoundLogger = structlog.get_logger("mltrail.jobs")


def run_deliveries(
    places: Places, stop: threading.Event, *, poll_s: float = POLL_S, clock_us: Callable[[], int] = now_us
) -> None:
    """Find due deliveries and make them until `stop` is set; one under way then is made again by another worker.

    With a log in Redis they go through RQ, so that each attempt is made by one of many workers; otherwise they are
    made here. What can't be reached is waited for.
    """
    run = _run_queued if places.log_url.startswith(_REDIS_SCHEMES) else _run_in_process
    while not stop.wait(poll_s):
        try:
            with open_desk(places, stop.is_set) as desk:
                run(places, desk, stop, poll_s, clock_us)
        except Unavailable as error:
            logger.warning("deliveries wait", action="deliveries_wait", error=str(error))
            stop.wait(_AWAY_POLLS * poll_s)


def _run_queued(
    places: Places, desk: DeliveryDesk, stop: threading.Event, poll_s: float, clock_us: Callable[[], int]
) -> None:
    """Queue what is due while the threads make what is queued, by whomever."""
    leave = threading.Event()

    def work() -> None:
        with working_at(places, stop, desk=desk):
            while not (leave.is_set() or stop.is_set()):
                try:
                    with open_queue(places.log_url, WEBHOOK_QUEUE_NAME) as queue:
                        while not (leave.is_set() or stop.is_set()):
                            if not queue.work_one():
                                leave.wait(poll_s)
                except Unavailable as error:
                    logger.warning("deliveries wait", action="deliveries_wait", error=str(error))
                    leave.wait(_AWAY_POLLS * poll_s)

    threads = [threading.Thread(target=work, name=f"mltrail-webhooks-{n}", daemon=True) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        with open_queue(places.log_url, WEBHOOK_QUEUE_NAME) as queue:
            while not stop.is_set():
                for due in desk.find_due(clock_us):
                    queue.enqueue(_job(due))
                stop.wait(poll_s)
    finally:
        leave.set()
        for thread in threads:
            thread.join()


def _run_in_process(
    _: Places, desk: DeliveryDesk, stop: threading.Event, poll_s: float, clock_us: Callable[[], int]
) -> None:
    under_way: set[DueDelivery] = set()
    again_us: dict[DueDelivery, int] = {}
    """Attempts that have ended, and when they may be made again if they are due all the same."""

    def make(due: DueDelivery) -> None:
        pause_s = _REMEMBERED_S
        try:
            desk.deliver(due.delivery_id, due.attempts)
        except Interrupted:
            return
        except MltrailError as error:
            pause_s = RETRY_AFTER_S
            logger.warning(
                "delivery failed, to be tried again",
                action="delivery_failed",
                delivery_id=due.delivery_id,
                error=str(error),
            )
        again_us[due] = clock_us() + pause_s * 1_000_000
        under_way.discard(due)

    with contextlib.closing(_Pool()) as pool:
        while not stop.is_set():
            at_us = clock_us()
            found = desk.find_due(clock_us)
            for due in list(again_us):
                if again_us[due] <= at_us:
                    del again_us[due]
            for due in found:
                if due not in under_way and due not in again_us:
                    under_way.add(due)
                    pool.submit(make, due).add_done_callback(_say_what_failed)
            stop.wait(poll_s)


def _say_what_failed(made: Future[None]) -> None:
    """Log what a delivery raised that nobody foresaw: our bug. It is not made again before the next start."""
    if not made.cancelled() and (error := made.exception()) is not None:
        logger.error("delivery raised", action="delivery_raised", exc_info=error)


class _Pool(ThreadPoolExecutor):
    """Threads that make deliveries."""

    def __init__(self) -> None:
        super().__init__(THREADS, thread_name_prefix="mltrail-webhooks")

    def close(self) -> None:
        """Forget what waits, and return when nothing is under way any more."""
        self.shutdown(cancel_futures=True)


def _job(due: DueDelivery) -> DueJob:
    return DueJob(
        job_id=f"deliver_webhook-{due.delivery_id}-{due.attempts}",
        name="deliver_webhook",
        arguments=(due.delivery_id, due.attempts),
        round_s=_REMEMBERED_S // 2,  # a job is remembered for two rounds
        timeout_s=_ATTEMPT_TIMEOUT_S,
    )
