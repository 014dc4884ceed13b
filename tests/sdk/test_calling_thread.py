"""What a call does in the training's own thread: nothing that may take long on a busy machine."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mltrail
from tests.sdk.projected import wait_for
from tests.server_process import free_port


class Slow:
    """What the main thread has done since `forget`, of what may take milliseconds."""

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

    def forget(self) -> None:
        self.done.clear()


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
    assert slow.done == ["start"]  # of the first thread, which starts the others
    slow.forget()
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
