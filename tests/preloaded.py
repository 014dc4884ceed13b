"""Processes that begin with everything imported, because starting tens of them costs a test more than what they do.

`start(MLTRAIL, ["mltrail_cli", "server"], …)` is what `python -m mltrail_cli server` would be: a process of its own, in
its own session when it is asked to be, with its own environment, folder and output, that SIGKILL ends. It was forked
from one that had imported mltrail and did nothing else; there is one of those for each pytest process and each kind.
How long imports take, and that they are complete, is thereby not tested: tests/sdk/test_surface.py, tests/integration
and tests/cli start real interpreters.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from pkgutil import walk_packages

from tests.preloaded_parent import LENGTH_BYTES

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Kind:
    """What the children of one parent begin with."""

    name: str
    packages: tuple[str, ...]
    """Imported with all modules below them, but for `without`."""
    modules: tuple[str, ...]
    without: tuple[str, ...] = ()

    def names(self) -> list[str]:
        """Return all modules to import."""
        found = list(self.modules)
        for package in self.packages:
            folders = [str(place / package) for place in (ROOT / "shared", ROOT / "services")]
            below = (one.name for one in walk_packages(folders, f"{package}."))
            found += [package, *(name for name in below if not name.startswith(self.without))]
        return [name for name in found if not name.endswith("__main__")]


MLTRAIL = Kind(
    "mltrail",
    ("mltrail_core", "mltrail", "mltrail_cli", "mltrail_api", "mltrail_projector", "mltrail_jobs"),
    ("uvicorn.loops.uvloop", "uvicorn.protocols.http.httptools_impl", "uvicorn.lifespan.on", "psycopg", "boto3",
     "sqlalchemy.dialects.postgresql.psycopg", "redis", "email.mime.multipart"),
    ("mltrail._mlflow", "mltrail.integrations", "mltrail_cli.demo", "mltrail_cli.importing"),
)  # fmt: skip
"""The command and the SDK."""
MLFLOW = Kind(
    "mlflow", (),
    ("mlflow", "mlflow.server.fastapi_app", "mlflow.sklearn", "sklearn.datasets", "sklearn.linear_model",
     "mlflow.store.tracking.file_store", "mlflow.store.tracking.sqlalchemy_store", "alembic.command"),
)  # fmt: skip
"""The stock client and its server."""


_WHILE_IMPORTING = {
    # One thread, because a process with several may not fork.
    "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet", "PYTHONWARNINGS": "ignore",
}  # fmt: skip


class Process:
    """A child, with those methods of `subprocess.Popen` that tests call; threads may share it."""

    def __init__(self, words: Sequence[str], report: int) -> None:
        self.args = words
        self.returncode: int | None = None
        self._report = os.fdopen(report, "rb", buffering=0)
        self._lock = threading.Lock()
        word, _, pid = self._report.readline().decode().partition(" ")
        if word != "pid":
            self._report.close()
            raise ChildProcessError(f"{words} was not started: {word.strip() or 'what it is forked from has ended'}")
        self.pid = int(pid)

    def poll(self) -> int | None:
        """Return the status of a process that has ended, negative for a signal; None while it runs."""
        with self._lock:
            if self.returncode is None and select.select([self._report], [], [], 0)[0]:
                said = self._report.readline()
                if not said:
                    raise ChildProcessError(f"the process that {self.args} was forked from has ended")
                self.returncode = int(said)
                self._report.close()
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the status once it has ended; `subprocess.TimeoutExpired` when it does not in time."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            left = 0.1 if deadline is None else min(0.1, deadline - time.monotonic())
            if left <= 0:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            with contextlib.suppress(ValueError):  # another thread has just seen the end
                select.select([self._report], [], [], left)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal to a process that has not ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Parent:
    """The process that children of one kind are forked from."""

    def __init__(self, kind: Kind) -> None:
        self._lock = threading.Lock()
        self._orders, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.preloaded_parent", str(theirs.fileno()), *kind.names()],
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                env={**os.environ, **_WHILE_IMPORTING},
                pass_fds=[theirs.fileno()],
            )

    def fork(self, words: Sequence[str], order: Mapping[str, object], files: Iterable[int]) -> Process:
        """Return a new child."""
        said, report = os.pipe()
        packed = json.dumps(order).encode()
        try:
            with self._lock:
                socket.send_fds(self._orders, [len(packed).to_bytes(LENGTH_BYTES)], [*files, report])
                self._orders.sendall(packed)
        finally:
            os.close(report)
        return Process(words, said)

    def end(self) -> None:
        """Let it end; its children go on."""
        self._orders.close()
        self._process.wait()


@cache
def _parents() -> dict[str, Parent]:
    return {}


def end_parents() -> None:
    """End what children were forked from; the next one starts it again."""
    for parent in _parents().values():
        parent.end()
    _parents().clear()


def start(
    kind: Kind,
    words: Sequence[str],
    *,
    folder: Path,
    env: Mapping[str, str],
    stdin: int | None = None,
    stdout: int,
    stderr: int,
    is_leader: bool = False,
) -> Process:
    """Return a started `python -m …`; stdin is empty unless it is given, `is_leader` gives it a session of its own."""
    parent = _parents().get(kind.name)
    if parent is None:
        parent = _parents()[kind.name] = Parent(kind)
    order = {"words": list(words), "folder": str(folder), "environment": dict(env), "is_leader": is_leader}
    with open(os.devnull, "rb") as empty:
        return parent.fork(words, order, [empty.fileno() if stdin is None else stdin, stdout, stderr])


def run(
    kind: Kind, words: Sequence[str], *, folder: Path, env: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Return a `python -m …` that has ended, and what it printed."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = start(kind, words, folder=folder, env=env, stdout=out.fileno(), stderr=err.fileno())
        try:
            status = process.wait(timeout_s)
        finally:
            process.kill()
            process.wait()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, status, out.read(), err.read())
