"""Several processes that answer on one socket: started, watched, started again when one dies, and ended together."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time

import structlog

from mltrail_cli.settings import Settings

_END_S = 15.0
"""How long a worker may take to end; a little more than requests and appender are given."""
_LOOK_S = 0.2
_MIN_LIFE_S = 5.0
"""A worker that died younger is started again only after this long, so that a broken one does not eat the machine."""

_logger = structlog.get_logger("mltrail.server")


class WorkerProcesses:
    """`settings.workers` processes of `mltrail_cli.server.worker`, each with a pipe that tells it when we are gone."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._workers: list[tuple[subprocess.Popen[bytes], float]] = []

    def start(self) -> None:
        """Start them all; returns before they answer."""
        self._workers = [(self._spawn(), time.monotonic()) for _ in range(self._settings.workers)]

    def watch(self, stop: threading.Event) -> None:
        """Replace workers that die, until `stop` is set."""
        while not stop.wait(_LOOK_S):
            for number, (process, started) in enumerate(self._workers):
                if process.poll() is not None and time.monotonic() - started >= _MIN_LIFE_S:
                    _logger.error(
                        "worker died, another takes its place",
                        action="worker_died",
                        process_id=process.pid,
                        status=process.returncode,
                    )
                    _close_pipe(process)
                    self._workers[number] = (self._spawn(), time.monotonic())

    def close(self) -> None:
        """Ask all to end, wait, and kill those that do not; idempotent."""
        for process, _ in self._workers:
            process.terminate()
        give_up = time.monotonic() + _END_S
        for process, _ in self._workers:
            try:
                process.wait(max(0.0, give_up - time.monotonic()))
            except subprocess.TimeoutExpired:
                _logger.error("worker does not end, killed", action="worker_killed", process_id=process.pid)
                process.kill()
                process.wait()
            _close_pipe(process)

    def _spawn(self) -> subprocess.Popen[bytes]:
        descriptor = self._listener.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", "mltrail_cli.server.worker", str(descriptor)],
            stdin=subprocess.PIPE,
            pass_fds=[descriptor],
        )
        assert process.stdin is not None
        # The settings may hold passwords: through the pipe they don't show in the list of processes.
        process.stdin.write(self._settings.model_dump_json().encode() + b"\n")
        process.stdin.flush()
        return process


def _close_pipe(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
