"""What a call does in the training's own thread: nothing that may take long on a busy machine."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import mltrail
from mltrail._background import Background, Task
from mltrail._losses import Losses
from mltrail._spool.blanks import READY_FILES
from mltrail._stream import Stream, Writer
from mltrail._worker import Worker
from mltrail_core.errors import Unavailable
from mltrail_core.ids import RunId
from tests.sdk.projected import wait_for
from tests.server_process import free_port


class Slow:
    """What the main thread has done, of what may take milliseconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        for owner, name in (
            (os, "fsync"),
            (os, "fdatasync"),
            (subprocess, "Popen"),
            (sqlite3, "connect"),
            (socket.socket, "connect"),
            (threading.Thread, "start"),
        ):
            monkeypatch.setattr(owner, name, self._noting(name, getattr(owner, name)))

    def _noting(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*arguments: Any, **named: Any) -> Any:
            if threading.current_thread() is threading.main_thread():
                self.done.append(name)
            return call(*arguments, **named)

        return noting


def test_no_call_starts_a_program_opens_a_connection_or_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLTRAIL_RECORD_CODE", "1")
    monkeypatch.setenv("MLTRAIL_RECORD_ENVIRONMENT", "1")
    monkeypatch.setenv("MLTRAIL_SYSTEM_METRICS_INTERVAL_S", "10")
    file = tmp_path / "model.bin"
    file.write_bytes(b"w" * 100_000)
    mltrail.init(f"http://127.0.0.1:{free_port()}", exit_timeout_s=0.1)
    slow = Slow(monkeypatch)
    run = mltrail.start_run(experiment="new", tags={"team": "vision"})
    run.log_artifact(file)
    run.log_metric("loss", 0.5)
    run.log_metrics({"acc": 0.5, "f1": 0.25}, step=1)
    run.log_series("series", range(10), range(10))
    run.log_params({"lr": 0.1})
    run.set_tag("team", "speech")
    second = mltrail.start_run(name="second")
    second.log_artifact(file, "again")
    mltrail.start_run(run_id=run.id, resume=True)
    assert slow.done == []
    names = {"mltrail-pack", "mltrail-send", "mltrail-background", "mltrail-heartbeat", "mltrail-watch"}
    wait_for(lambda: names <= {thread.name for thread in threading.enumerate()})


def lines_of(call: Callable[[], object]) -> int:
    """Return how many lines of Python this thread runs in a call: a measure of work that no other load disturbs."""
    lines = 0

    def traced(frame: FrameType, event: str, _: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return traced

    outer = sys.gettrace()
    sys.settrace(traced)
    try:
        call()
    finally:
        sys.settrace(outer)
    return lines


def test_an_artifact_is_as_quickly_logged_beside_many_that_wait(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"w")
    mltrail.init(f"http://127.0.0.1:{free_port()}", exit_timeout_s=0.1)
    run = mltrail.start_run()
    work = [lines_of(partial(run.log_artifact, file, f"at/{number}")) for number in range(300)]
    # Now and then a call has to wake or begin a thread, the more so on a busy machine; going through those that wait
    # would be a line for each, in every call.
    assert min(work[200:]) < min(work[1:100]) + 100


def test_an_artifact_is_copied_into_a_file_that_was_made_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"w")
    mltrail.init(f"http://127.0.0.1:{free_port()}", exit_timeout_s=0.1)
    run = mltrail.start_run()
    was_there: list[bool] = []
    real_open = os.open

    def noting(path: Path, flags: int, *mode: int) -> int:
        if threading.current_thread() is threading.main_thread() and flags & os.O_WRONLY:
            was_there.append(path.exists())
        return real_open(path, flags, *mode)

    monkeypatch.setattr(os, "open", noting)
    for number in range(READY_FILES):
        run.log_artifact(file, f"at/{number}")
    assert was_there == [True] * READY_FILES
    [spool] = (tmp_path / "spool").iterdir()
    wait_for(lambda: len(list((spool / "files").iterdir())) == 2 * READY_FILES)  # as many are ready again
    run.end()
    mltrail._fluent.current_session().close(0.1)
    assert [copy.read_bytes() for copy in (spool / "files").iterdir()] == [b"w"] * READY_FILES


def test_a_task_is_as_quickly_found_and_put_back_among_many() -> None:
    def failing() -> None:
        raise Unavailable("nobody is there")

    def of_one_step(task_count: int) -> int:
        background = Background(Losses(), lambda: None)
        stream = Stream(RunId("0" * 32), Writer("ada", "host", 1, 0), owns_status=True)
        for number in range(task_count):
            background.add(Task(stream, f"{number}.png", failing, outlives_run=True))
            background.add(Task(stream, f"tag {number}", failing))
        background.step()
        return lines_of(background.step)

    assert of_one_step(1_000) <= of_one_step(3)


def test_a_task_is_added_while_others_hold_the_lock_of_the_tasks() -> None:
    background = Background(Losses(), lambda: None)
    stream = Stream(RunId("0" * 32), Writer("ada", "host", 1, 0), owns_status=True)
    done: list[str] = []
    adding = threading.Thread(target=lambda: background.add(Task(stream, "a tag", lambda: done.append("a tag"))))
    with background._changed:  # as if the background thread had been interrupted with it in hand
        adding.start()
        adding.join(30.0)
        assert not adding.is_alive()
    background.step()
    assert done == ["a tag"]


def test_calls_need_no_lock_that_a_thread_of_the_sdk_may_be_interrupted_with(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"w")
    mltrail.init(f"http://127.0.0.1:{free_port()}", exit_timeout_s=0.1)
    with mltrail.start_run() as run:

        def log() -> None:
            run.log_param("lr", 0.1)
            run.set_tag("team", "vision")
            run.log_series("series", range(100_000), range(100_000))  # wakes the packing thread
            run.log_metrics({"loss": 0.5})
            run.log_artifact(file)

        calls = threading.Thread(target=log)
        session = mltrail._fluent.current_session()
        # As if this were the packing thread, or the one in the background, and had these in hand for ever.
        with run._buffer._room, session.spool._lock, session._background._changed:
            calls.start()
            calls.join(30.0)
            assert not calls.is_alive()


def test_a_worker_is_woken_from_within_its_own_waking() -> None:
    steps: list[int] = []

    def step() -> float:
        steps.append(1)
        return 60.0

    worker = Worker("test", step, Losses())
    worker.start()
    wait_for(lambda: len(steps) == 1)
    worker.wake()
    worker.wake()  # as a signal's handler may: once is as good as twice
    wait_for(lambda: len(steps) >= 2)
    worker.stop()
    assert worker.join(30.0)
    worker.wake()  # nobody listens any more


def test_a_worker_that_is_stopped_before_it_has_begun_ends() -> None:
    worker = Worker("test", lambda: 60.0, Losses())
    assert worker.join(0.0)  # never started
    worker.start()
    worker.stop()
    assert worker.join(30.0)
