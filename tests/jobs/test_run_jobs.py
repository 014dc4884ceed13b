"""Due work is found and done once, by however many workers, with and without Redis; what a queue forgets comes back."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import redis
from rq import Queue
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer
from structlog.testing import capture_logs

from mltrail_core.clock import now_us
from mltrail_jobs import queue as job_queue
from mltrail_jobs.places import Places
from mltrail_jobs.queue import QUEUE_NAME, open_queue
from mltrail_jobs.sweeper import VERIFY_EVERY_S, DueJob, find_due_jobs
from mltrail_jobs.worker import run_jobs
from tests import servers
from tests.jobs.deployment import Deployment, deployment_at

POLL_S = 0.02


class Clock:
    """A clock that stands until it is moved, so that no round ends while a test looks at it."""

    def __init__(self) -> None:
        self._us = now_us()

    def __call__(self) -> int:
        return self._us

    def move_to_next_round(self) -> None:
        self._us += VERIFY_EVERY_S * 1_000_000


@contextlib.contextmanager
def workers(places: Places, clock: Clock, count: int = 1) -> Iterator[None]:
    """Run the loop in `count` threads; all have ended, without being waited for long, when the block ends."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=run_jobs, args=(places, stop), kwargs={"poll_s": POLL_S, "clock_us": clock})
        for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()


Lines = list[MutableMapping[str, Any]]  # structlog's own word for them


def done(lines: Lines, action: str = "artifacts_verified") -> int:
    return sum(line["action"] == action for line in lines)


def wait_for(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"the condition did not come true within {timeout_s:g} s"
        threading.Event().wait(0.01)


@pytest.fixture(params=["folder", "redis"])
def deployment(tmp_path: Path, request: pytest.FixtureRequest) -> Deployment:
    return deployment_at(tmp_path, log_url=None if request.param == "folder" else request.getfixturevalue("redis_url"))


def test_due_jobs_are_done_once_a_round(deployment: Deployment) -> None:
    hashes = deployment.store({"gone": b"gone"})
    (deployment.blobs / hashes["gone"]).unlink()
    clock = Clock()
    with capture_logs() as lines:
        with workers(deployment.places, clock):
            wait_for(lambda: done(lines) == 1 and done(lines, "uploads_swept") == 1)
            clock.move_to_next_round()
            wait_for(lambda: done(lines) == 2)
            clock.move_to_next_round()
            wait_for(lambda: done(lines) == 3)
        assert done(lines) == 3
        assert done(lines, "artifact_missing") == 3


def test_many_workers_do_each_job_once(tmp_path: Path, redis_url: str) -> None:
    deployment = deployment_at(tmp_path, redis_url)
    deployment.store({"a": b"a"})
    clock = Clock()
    with capture_logs() as lines:
        with workers(deployment.places, clock, count=4):
            for rounds in (1, 2, 3, 4, 5):
                wait_for(lambda: done(lines) >= rounds)  # noqa: B023  # waited for within the turn
                clock.move_to_next_round()
            wait_for(lambda: done(lines) >= 6)
        assert done(lines) == 6


def test_what_the_queue_lost_is_found_again_and_the_log_is_untouched(tmp_path: Path, redis_url: str) -> None:
    deployment = deployment_at(tmp_path, redis_url)
    deployment.store({"a": b"a"})
    clock = Clock()
    with contextlib.closing(redis.Redis.from_url(redis_url)) as client:
        with capture_logs() as lines, workers(deployment.places, clock):
            wait_for(lambda: done(lines) == 1)
        log_keys = set(client.keys("mltrail:*"))
        client.delete(*client.keys("rq:*"))
        with capture_logs() as lines, workers(deployment.places, clock):
            wait_for(lambda: done(lines) == 1)
        assert set(client.keys("mltrail:*")) == log_keys
        assert {str(key, "ascii").partition(":")[0] for key in client.scan_iter()} == {"mltrail", "rq"}


def test_a_job_is_queued_once_and_carries_no_url(tmp_path: Path, redis_url: str) -> None:
    deployment = deployment_at(tmp_path, redis_url.replace("redis://", "redis://default:@"))
    deployment.store({"a": b"a"})
    job = DueJob("verify_artifacts-1", "verify_artifacts", (1,), VERIFY_EVERY_S)
    with open_queue(redis_url) as first, open_queue(redis_url) as second:
        assert first.enqueue(job)
        assert not second.enqueue(job)
    with contextlib.closing(redis.Redis.from_url(redis_url)) as client:
        queue = Queue(QUEUE_NAME, connection=client, serializer=JSONSerializer)
        assert queue.job_ids == ["verify_artifacts-1"]
        [queued] = queue.jobs
        assert (list(queued.args), queued.kwargs) == (["verify_artifacts", [1]], {})
        assert not any(b"://" in value for value in client.hgetall("rq:job:verify_artifacts-1").values())


def test_a_job_that_failed_is_found_again(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_queue, "RETRY_AFTER_S", 1)
    deployment.store({"a": b"a"})
    blobs = deployment.blobs
    hidden = blobs.with_name("hidden")
    blobs.rename(hidden)
    blobs.write_bytes(b"a file where a folder has to be")
    with capture_logs() as lines, workers(deployment.places, Clock()):
        if deployment.places.log_url.startswith("redis"):
            with contextlib.closing(redis.Redis.from_url(deployment.places.log_url)) as client:
                failed = FailedJobRegistry(QUEUE_NAME, connection=client, serializer=JSONSerializer)
                wait_for(lambda: failed.get_job_count(cleanup=False) == 1)
        else:
            wait_for(lambda: done(lines, "job_failed") > 0)
        assert done(lines) == 0
        blobs.unlink()
        hidden.rename(blobs)
        wait_for(lambda: done(lines) == 1)


def test_workers_wait_for_a_redis_that_is_away_and_stop_meanwhile(tmp_path: Path) -> None:
    with servers.valkey(tmp_path / "valkey") as server:
        deployment = deployment_at(tmp_path, server.url)
        deployment.store({"a": b"a"})
        clock = Clock()
        with capture_logs() as lines, workers(deployment.places, clock):
            wait_for(lambda: done(lines) == 1)
            server.kill()
            wait_for(lambda: done(lines, "jobs_wait") > 0)
            server.start()
            clock.move_to_next_round()
            wait_for(lambda: done(lines) == 2)
            server.kill()
            waits = done(lines, "jobs_wait")
            wait_for(lambda: done(lines, "jobs_wait") > waits)


def test_a_job_of_another_version_fails_and_says_so(
    tmp_path: Path, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    deployment = deployment_at(tmp_path, redis_url)
    unknown = DueJob("dust_the_shelves-1", "dust_the_shelves", (), 60)  # type: ignore[arg-type]
    with open_queue(redis_url) as queue:
        queue.enqueue(unknown)
    with capture_logs() as lines, workers(deployment.places, Clock()):
        wait_for(lambda: done(lines) == 1)
    assert "job 'dust_the_shelves' with arguments [] is not known to this version" in caplog.text


def test_the_same_moment_gives_every_finder_the_same_ids() -> None:
    moment = 1_800_000_000_000_000
    first = find_due_jobs(moment)
    assert first == find_due_jobs(moment + 1_000_000)
    later = find_due_jobs(moment + VERIFY_EVERY_S * 1_000_000)
    assert {job.job_id for job in first} != {job.job_id for job in later}
