"""Jobs through RQ, in the Redis that holds the log, on keys of their own (`rq:…`): queued once, run by any worker."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue, SimpleWorker
from rq.exceptions import DuplicateJobError, NoSuchJobError
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty

from mltrail_core.errors import Unavailable
from mltrail_jobs.perform import perform
from mltrail_jobs.sweeper import DueJob

QUEUE_NAME = "mltrail"
WEBHOOK_QUEUE_NAME = "mltrail-webhooks"
RETRY_AFTER_S = 60
"""A failed job is forgotten after this long; the sweeper then finds it due again if its round still lasts."""
_REPLY_TIMEOUT_S = 10.0


class _JobsWorker(SimpleWorker):
    """RQ's worker for one job in this very thread: signals are its caller's, and a broken connection raises at once."""

    death_penalty_class = TimerDeathPenalty  # SIGALRM is for main threads

    def _install_signal_handlers(self) -> None:
        pass

    def subscribe(self) -> None:
        """Take no commands over pub/sub: they would cost a connection and a thread for each job."""

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Return the next job or None. RQ's own repeats for ever while Redis is away, deaf to the order to stop."""
        self.heartbeat()
        found = self.queue_class.dequeue_any(
            self.queues,
            None,
            connection=self.connection,
            job_class=self.job_class,
            serializer=self.serializer,
            death_penalty_class=self.death_penalty_class,
        )
        if found is None:
            return None
        job, queue = found
        job.redis_server_version = self.get_redis_server_version()  # type: ignore[no-untyped-call]
        return job, queue


class JobQueue:
    """The queue of one deployment's jobs. One object for one thread."""

    def __init__(self, client: redis.Redis, name: str = QUEUE_NAME) -> None:
        self._queue = Queue(name, connection=client, serializer=JSONSerializer)
        self._worker = _JobsWorker([self._queue], connection=client, serializer=JSONSerializer)
        self._worker.log_job_description = False

    def enqueue(self, job: DueJob) -> bool:
        """Queue the job unless its id is known; return whether it was queued now."""
        try:
            self._queue.enqueue_call(
                perform,
                args=(job.name, list(job.arguments)),
                job_id=job.job_id,
                unique=True,
                timeout=job.timeout_s,
                result_ttl=2 * job.round_s,
                failure_ttl=RETRY_AFTER_S,
            )
        except DuplicateJobError:
            self._forget_lost(job)
            return False
        return True

    def _forget_lost(self, job: DueJob) -> None:
        """Take a job whose worker died out of the way, so that it is queued when it is found due once more."""
        try:
            known = Job.fetch(job.job_id, connection=self._queue.connection, serializer=JSONSerializer)
        except NoSuchJobError:
            return
        begun = known.started_at
        if known.get_status() != JobStatus.STARTED or begun is None:
            return
        if datetime.now(UTC) - begun.replace(tzinfo=UTC) > timedelta(seconds=2 * job.timeout_s):
            known.delete()

    def work_one(self) -> bool:
        """Run one job that is queued, in this thread; return whether there was one."""
        return bool(self._queue.count) and self._worker.work(burst=True, max_jobs=1, logging_level="WARNING")


@contextlib.contextmanager
def open_queue(log_url: str, name: str = QUEUE_NAME) -> Iterator[JobQueue]:
    """Give the queue of this name beside the log at `log_url`.

    Raises:
        Unavailable: Redis can't be reached, now or within the block.
    """
    client = redis.Redis.from_url(
        log_url.replace("valkey", "redis", 1),
        socket_timeout=_REPLY_TIMEOUT_S,
        socket_connect_timeout=_REPLY_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        with contextlib.closing(client):
            yield JobQueue(client, name)
    except redis.RedisError as error:
        raise Unavailable(f"the queue of jobs can't be used: {error}") from error
