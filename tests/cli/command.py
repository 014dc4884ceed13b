"""Runs the real command, in this process or in one of its own, with an environment that nothing leaks into."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import structlog

from mltrail_cli.__main__ import main
from tests import preloaded
from tests.servers import free_port

TIMEOUT_S = 120.0
POLL_S = 0.02


def environment(**more: str) -> dict[str, str]:
    """Return our environment without mltrail's and MLflow's variables; servers project in a thread: it loads less."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLTRAIL_", "MLFLOW_"))}
    return kept | {"MLTRAIL_BACKGROUND": "thread"} | more


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    status: int
    out: str
    err: str

    def json(self) -> dict[str, object]:
        """Return the one JSON document that it printed."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


def mltrail(*words: str | Path, cwd: Path | None = None, **more: str) -> Ended:
    """Return the command once it has ended; it runs in this process, which spares it two seconds of imports."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.ExitStack() as undone:
        undone.enter_context(_environment_only(environment(**more)))
        undone.enter_context(_event_lines_restored())
        if cwd is not None:
            undone.enter_context(contextlib.chdir(cwd))
        undone.enter_context(contextlib.redirect_stdout(out))
        undone.enter_context(contextlib.redirect_stderr(err))
        undone.enter_context(mock.patch.object(sys, "argv", ["mltrail", *map(str, words)]))
        try:
            main()
            status = 0
        except SystemExit as exit_:
            if isinstance(exit_.code, str):
                print(exit_.code, file=sys.stderr)
            status = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    return Ended(status, out.getvalue(), err.getvalue())


def mltrail_process(*words: str | Path, cwd: Path | None = None, timeout_s: float = TIMEOUT_S, **more: str) -> Ended:
    """Return the command once its process has ended."""
    done = preloaded.run(
        preloaded.MLTRAIL,
        ["mltrail_cli", *map(str, words)],
        folder=cwd or Path.cwd(),
        env=environment(**more),
        timeout_s=timeout_s,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def _environment_only(wanted: dict[str, str]) -> Iterator[None]:
    with mock.patch.dict(os.environ, wanted, clear=True):
        yield


@contextlib.contextmanager
def _event_lines_restored() -> Iterator[None]:
    """Let a command set up logging for its process, and put back what other tests rely on."""
    root = logging.getLogger()
    handlers, level, configured = list(root.handlers), root.level, structlog.get_config()

    def configure(**settings: Any) -> None:
        set_up(**settings | {"cache_logger_on_first_use": False})

    set_up = structlog.configure
    with mock.patch.object(structlog, "configure", configure):
        try:
            yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
            set_up(**configured)


class ServerCommand:
    """A running `mltrail server`, or another command that serves; its output is in files."""

    process: preloaded.Process | subprocess.Popen[bytes]

    def __init__(self, *words: str | Path, port: int, folder: Path, has_to_load: bool = False, **more: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._out, self._err = folder / "out.txt", folder / "err.txt"
        self.started = time.monotonic()
        with self._out.open("w") as out, self._err.open("w") as err:
            command, env = ["mltrail_cli", *map(str, words)], environment(**more)
            if has_to_load:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", *command],
                    stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder, env=env,
                )  # fmt: skip
            else:
                self.process = preloaded.start(
                    preloaded.MLTRAIL, command, folder=folder, env=env, stdout=out.fileno(), stderr=err.fileno()
                )

    @property
    def out(self) -> str:
        """What it has printed so far."""
        return self._out.read_text()

    @property
    def err(self) -> str:
        """What it has complained about so far."""
        return self._err.read_text()

    def get(self, path: str, *, timeout_s: float = 60.0) -> bytes:
        """Return the body at `path`, asked for again until the server listens."""
        give_up = time.monotonic() + timeout_s
        while True:
            try:
                with urllib.request.urlopen(self.url + path, timeout=timeout_s) as response:
                    body: bytes = response.read()
                    return body
            except ConnectionError:
                pass
            except urllib.error.URLError as error:
                if not isinstance(error.reason, ConnectionError):
                    raise
            assert self.process.poll() is None, f"ended with status {self.process.returncode}: {self.err}"
            assert time.monotonic() < give_up, "did not answer in time"
            time.sleep(POLL_S)

    def signal(self, number: int, *, timeout_s: float = 40.0) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout_s)


@contextlib.contextmanager
def server(
    folder: Path, *words: str | Path, port: int | None = None, has_to_load: bool = False, **more: str
) -> Iterator[ServerCommand]:
    """Give a `mltrail server` on `folder/data`, at a port of its own; it is killed at the end when it still runs.

    `has_to_load`: begin with nothing imported.
    """
    chosen = free_port() if port is None else port
    running = ServerCommand(
        "server", "--data", folder / "data", "--port", str(chosen), *words,
        port=chosen, folder=folder, has_to_load=has_to_load, **more,
    )  # fmt: skip
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def wait_until_in(text: str, running: ServerCommand, *, timeout_s: float = 60.0) -> None:
    """Return when the command has printed `text`, to standard output or error."""
    give_up = time.monotonic() + timeout_s
    while text not in running.out and text not in running.err:
        assert running.process.poll() is None, f"ended with status {running.process.returncode}: {running.err}"
        assert time.monotonic() < give_up, f"{text!r} was not printed: {running.out}{running.err}"
        time.sleep(POLL_S)
