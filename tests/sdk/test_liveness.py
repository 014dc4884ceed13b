"""Open runs are marked, a killed trainer's run is lost, a stopped one's returns, and `delivery` tells the truth."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import mltrail
from mltrail import _fluent as fluent
from mltrail import _heartbeat as heartbeat
from mltrail._delivery import DeliveryCounts
from mltrail._reader.mlflow_json import snapshot_of
from mltrail_api.mlflow.runs.view import run_json
from mltrail_api.search.view import load_run
from mltrail_core.clock import now_us
from mltrail_core.liveness import Liveness, open_liveness
from mltrail_core.liveness.folder import FolderLiveness
from mltrail_core.log import open_log
from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_jobs.leases import Leases
from mltrail_jobs.reaper import Reaped, reap
from mltrail_projector.loop import catch_up
from tests.sdk.faulty_server import FaultyServer
from tests.sdk.projected import wait_for
from tests.sdk.real_server import real_server
from tests.sdk.script import Script
from tests.servers import free_port

NOTHING = Reaped()


@pytest.fixture(autouse=True)
def quick_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "INTERVAL_S", 0.02)


@contextlib.contextmanager
def marks_beside(log_url: str) -> Iterator[Liveness]:
    liveness = open_liveness(log_url)
    try:
        yield liveness
    finally:
        liveness.close()


def is_marked_again(liveness: Liveness, *subjects: str) -> Callable[[], bool]:
    """Return whether all subjects have been marked since this was called."""
    since_us = liveness.now_us()

    def is_marked() -> bool:
        found = liveness.last_seen(subjects)
        return all(found.get(subject, 0) > since_us for subject in subjects)

    return is_marked


def producer_of(run: mltrail.Run) -> str:
    return run._stream.producer


def test_open_runs_are_marked_in_the_folder_until_they_end(folder: Path) -> None:
    mltrail.init(folder)
    with marks_beside(str(folder / "log")) as liveness:
        first, second = mltrail.start_run(), mltrail.start_run()
        wait_for(is_marked_again(liveness, first.id, second.id, producer_of(first), producer_of(second)))
        first.end()
        wait_for(is_marked_again(liveness, second.id))  # a round that began before the end is over
        last = liveness.last_seen([first.id])
        wait_for(is_marked_again(liveness, second.id))
        assert liveness.last_seen([first.id]) == last
        second.end()


def test_a_process_that_joined_a_run_and_logs_nothing_marks_it(folder: Path) -> None:
    mltrail.init(folder)
    run_id = "ab" * 16
    with marks_beside(str(folder / "log")) as liveness:
        run = mltrail.start_run(run_id=run_id)
        wait_for(is_marked_again(liveness, run_id, producer_of(run)))
        run.end()


def test_runs_are_marked_through_the_api(folder: Path) -> None:
    with real_server(str(folder / "log"), folder) as url, marks_beside(str(folder / "log")) as liveness:
        mltrail.init(url)
        with mltrail.start_run() as run:
            wait_for(is_marked_again(liveness, run.id, producer_of(run)))
        fluent.current_session().close(5)


def test_runs_are_marked_in_redis_directly(redis_url: str) -> None:
    mltrail.init(redis_url)
    with marks_beside(redis_url) as liveness, mltrail.start_run() as run:
        wait_for(is_marked_again(liveness, run.id, producer_of(run)))
    fluent.current_session().close(5)


def test_a_forked_child_marks_as_a_producer_of_its_own_once_it_logs(folder: Path) -> None:
    mltrail.init(folder)
    with marks_beside(str(folder / "log")) as liveness, mltrail.start_run() as run:
        wait_for(is_marked_again(liveness, run.id))
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writing, producer_of(run).encode())
                run.log_metric("loss", 1.0)
                time.sleep(60)
            finally:
                os._exit(0)
        try:
            producer = os.read(reading, 100).decode()
            assert producer != producer_of(run)
            wait_for(is_marked_again(liveness, producer, producer_of(run)))
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reading)
            os.close(writing)


def test_a_server_that_does_not_know_heartbeats_is_said_once_and_disturbs_nothing(
    faulty_server: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    mltrail.init(faulty_server.url)
    with mltrail.start_run() as run:
        run.log_metric("loss", 1.0)
        assert run.flush()
        wait_for(lambda: "heartbeats are refused" in caplog.text)
        assert run.delivery().acknowledged == run.delivery().sent > 0
    assert caplog.text.count("heartbeats are refused") == 1


class Reaping:
    """The reaper on a folder, with a clock that is put forward."""

    def __init__(self, folder: Path, read_model: ReadModel) -> None:
        self._folder = folder
        self._read_model = read_model
        self.ahead_us = 0

    def reap(self) -> Reaped:
        liveness = FolderLiveness(self._folder / "log" / "liveness", lambda: now_us() + self.ahead_us)
        with contextlib.closing(open_log(str(self._folder / "log"))) as log:
            catch_up(log, self._read_model)
            return reap(log, self._read_model, liveness, Leases(120), projector_bound_s=20)

    def snapshot(self, run_id: str) -> mltrail.RunSnapshot:
        """Return the run as `mltrail.get_run` does, without the start of a process."""
        with contextlib.closing(open_log(str(self._folder / "log"))) as log:
            catch_up(log, self._read_model)
        with self._read_model.reading() as connection:
            found = load_run(connection, run_id)
        assert found is not None
        return snapshot_of(run_json(found))

    def after_a_lease(self) -> Reaped:
        """Let a lease pass in which the reaper was there, and return what it finds then."""
        for _ in range(3):
            assert self.reap() == NOTHING
            self.ahead_us += 50_000_000
        return self.reap()


@pytest.fixture
def reaping(folder: Path) -> Iterator[Reaping]:
    with contextlib.closing(open_read_model(str(folder / "read"))) as read_model:
        yield Reaping(folder, read_model)


def test_the_run_of_a_killed_trainer_is_lost_after_the_lease(folder: Path, tmp_path: Path, reaping: Reaping) -> None:
    script = Script(
        tmp_path,
        str(folder),
        """
        run = mltrail.start_run("iris")
        run.log_metric("loss", 0.5)
        run.flush()
        print(run.id, flush=True)
        time.sleep(60)
        """,
    )
    trainer = script.start()
    assert trainer.stdout is not None
    run_id = trainer.stdout.readline().strip()
    trainer.kill()
    trainer.communicate()
    assert reaping.after_a_lease() == Reaped(lost=(run_id,))
    found = reaping.snapshot(run_id)
    assert (found.status, found.ended_us) == ("LOST", None)


def test_the_run_of_a_stopped_trainer_is_lost_and_returns_when_it_goes_on(
    folder: Path, tmp_path: Path, reaping: Reaping
) -> None:
    script = Script(
        tmp_path,
        str(folder),
        """
        from mltrail import _heartbeat
        _heartbeat.INTERVAL_S = 0.02
        run = mltrail.start_run("iris")
        run.log_metric("loss", 0.5)
        run.flush()
        print(run.id, flush=True)
        sys.stdin.read()
        """,
    )
    trainer = subprocess.Popen(
        [sys.executable, str(script.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert trainer.stdout is not None
    run_id = trainer.stdout.readline().strip()
    os.kill(trainer.pid, signal.SIGSTOP)
    try:
        assert reaping.after_a_lease() == Reaped(lost=(run_id,))
    finally:
        os.kill(trainer.pid, signal.SIGCONT)
    with marks_beside(str(folder / "log")) as liveness:
        wait_for(is_marked_again(liveness, run_id))
    assert reaping.reap() == Reaped(returned=(run_id,))
    assert reaping.snapshot(run_id).status == "RUNNING"
    trainer.communicate(timeout=30)
    assert reaping.snapshot(run_id).status == "FINISHED"


def test_delivery_tells_what_was_sent_received_and_rejected(folder: Path) -> None:
    with real_server(str(folder / "log"), folder) as url:
        mltrail.init(url)
        with mltrail.start_run() as run:
            run.log_param("lr", 1)
            assert run.flush()
            run.log_param("lr", 2)
            run.log_metric("loss", 0.5)
            assert run.flush()
            open_delivery = run.delivery()
        delivery = run.delivery()
        fluent.current_session().close(5)
    assert open_delivery.status == "RUNNING"
    assert not open_delivery.is_complete
    assert delivery.run_id == run.id
    assert delivery.sent == delivery.acknowledged > open_delivery.sent > 0
    assert (delivery.spooled, delivery.in_memory, delivery.refused, delivery.lag_s) == (0, 0, 0, 0.0)
    assert (delivery.status, delivery.is_complete, delivery.unknown_because) == ("FINISHED", True, None)
    assert [(rejection.event, rejection.reason) for rejection in delivery.rejected] == [
        ("param_logged", "param_changed")
    ]
    [process] = delivery.processes
    assert (process.process_id, process.missing, process.is_complete) == (os.getpid(), "", True)
    assert process.received == f"1-{process.last_sequence}"
    assert delivery.unprojected_records == 0


def test_delivery_of_a_folder_is_told_by_the_command(folder: Path) -> None:
    mltrail.init(folder)
    with mltrail.start_run() as run:
        run.log_metric("loss", 0.5)
    delivery = run.delivery()
    assert delivery.unknown_because is None
    assert (delivery.status, delivery.is_complete) == ("FINISHED", True)
    assert delivery.sent == delivery.acknowledged > 0


def test_while_nobody_answers_delivery_says_what_waits_and_for_how_long() -> None:
    mltrail.init(f"http://127.0.0.1:{free_port()}", exit_timeout_s=0.0)
    run = mltrail.start_run()
    run.log_metric("loss", 0.5)
    delivery = run.delivery()
    assert delivery.sent == delivery.spooled + delivery.in_memory > 0
    assert delivery.acknowledged == 0
    assert delivery.lag_s > 0
    assert delivery.unknown_because is not None
    assert "can't be reached" in delivery.unknown_because
    assert (delivery.status, delivery.is_complete, delivery.unprojected_records) == (None, False, None)
    wait_for(lambda: run.delivery().lag_s > delivery.lag_s)


def test_an_offline_session_keeps_all_in_the_spool_and_says_so() -> None:
    mltrail.init(f"http://127.0.0.1:{free_port()}", offline=True)
    with mltrail.start_run() as run:
        run.log_metric("loss", 0.5)
    delivery = run.delivery()
    assert delivery.spooled == delivery.sent > 0
    assert delivery.unknown_because == "this session is offline; `mltrail sync` sends what is spooled"


def test_counts_know_each_runs_oldest_record() -> None:
    counts = DeliveryCounts()
    counts.made(["a", "b", "a"])
    counts.settled(["a"], is_refused=False)
    counts.settled(["b"], is_refused=True)
    a, b, c = (counts.of_run(run_id) for run_id in "abc")
    assert (a.sent, a.acknowledged, a.refused, a.waiting) == (2, 1, 0, 1)
    assert (b.sent, b.acknowledged, b.refused, b.waiting, b.lag_s) == (1, 0, 1, 0, 0.0)
    assert (c.sent, c.waiting, c.lag_s) == (0, 0, 0.0)
    assert a.lag_s > 0
    counts.begin_again_in_child()
    assert counts.of_run("a").sent == 0
