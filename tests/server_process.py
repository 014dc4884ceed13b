"""One server process of a test: started until it answers, stopped, killed with SIGKILL, started again."""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from tests import preloaded

STOP_TIMEOUT_S = 10.0
ORPHANS_TIMEOUT_S = 2.0
POLL_S = 0.02


class ServerFailed(RuntimeError):
    """A server ended by itself or did not answer in time; the message carries the end of its output."""


def free_port() -> int:
    """Return a loopback port that nobody listens on.

    It lies below the ephemeral range, so that no outgoing connection takes it between this call and the server's bind.
    """
    for _ in range(200):
        port = random.randint(10_240, 32_000)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            # As servers do: without it a port whose last server was just killed looks taken for a minute.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerFailed("200 random ports between 10240 and 32000 were all taken")


class Server(ABC):
    """One server process on `127.0.0.1:port`, leader of its own process group; its output goes to `log_path`."""

    def __init__(self, folder: Path, port: int | None, *, env: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.log_path = folder / "server.log"
        self.start_timeout_s = 30.0
        self.stop_signal = signal.SIGTERM
        self._run_as: pwd.struct_passwd | None = None
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | preloaded.Process | None = None

    @abstractmethod
    def argv(self) -> list[str]:
        """Return the command line."""

    @abstractmethod
    def answers(self) -> bool:
        """Return whether the server serves requests now."""

    @property
    def kind(self) -> preloaded.Kind | None:
        """What the process is forked from, when `argv()` is a `python -m …` whose imports are known."""
        return None

    @property
    def pid(self) -> int:
        """The process id; `ServerFailed` when it does not run."""
        if self._process is None:
            raise ServerFailed(f"{type(self).__name__} on port {self.port} is not running; call start() first")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives, answering or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Return once the server answers; on the same folder and port as before when it ran already."""
        if self.is_running:
            return
        self._spawn()
        deadline = time.monotonic() + self.start_timeout_s
        while not self.answers():
            if not self.is_running or time.monotonic() > deadline:
                state = "did not answer in time" if self.is_running else f"ended with status {self._exit_status()}"
                self.kill()
                raise ServerFailed(
                    f"{type(self).__name__} on port {self.port} {state}; its output ends:\n{self.output()}"
                )
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Ask the server to end and wait; SIGKILL for its whole process group when it does not. Idempotent."""
        if self._process is None:
            return
        if self.is_running:
            self._process.send_signal(self.stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT_S)
        self.kill()

    def kill(self) -> None:
        """End the whole process group with SIGKILL, as a power cut would. Idempotent."""
        if self._process is None:
            return
        # The group outlives its leader while a child lives, so it is signalled even after the leader has ended.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(STOP_TIMEOUT_S)
        # Its children are not ours to reap; where nobody reaps orphans they stay as zombies, hence the bound.
        deadline = time.monotonic() + ORPHANS_TIMEOUT_S
        while _group_lives(self._process.pid) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        self._process = None

    def output(self, last_bytes: int = 4_000) -> str:
        """Return the end of what the server printed."""
        if not self.log_path.exists():
            return ""
        return self.log_path.read_bytes()[-last_bytes:].decode(errors="replace")

    def _spawn(self) -> None:
        kind = self.kind
        with self.log_path.open("ab") as log:
            if kind is not None:
                words = self.argv()
                self._process = preloaded.start(
                    kind, words[words.index("-m") + 1 :], folder=self.folder, env=self._env,
                    stdout=log.fileno(), stderr=log.fileno(), is_leader=True,
                )  # fmt: skip
                return
            self._process = subprocess.Popen(
                self.argv(),
                cwd=self.folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._run_as.pw_uid if self._run_as else None,
                group=self._run_as.pw_gid if self._run_as else None,
                extra_groups=[] if self._run_as else None,
                start_new_session=True,
            )

    def _exit_status(self) -> int | None:
        return self._process.returncode if self._process else None

    def _http_ok(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so of a group of zombies
        return False
    return True
