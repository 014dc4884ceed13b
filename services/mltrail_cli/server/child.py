"""A process that a server starts to work for it: told its settings through a pipe, which also tells it when to end."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence

import structlog

from mltrail_cli.settings import Settings

MIN_LIFE_S = 5.0
"""A child that died younger is started again only after this long, so that a broken one does not eat the machine."""

_logger = structlog.get_logger("mltrail.server")


class Child:
    """A running `python -m MODULE`, whose stdin gives it the settings as a line and ends when this process does.

    Its stderr is ours, so its events appear among ours. Its stdout is a pipe, on which it may say that it works.
    """

    def __init__(self, module: str, settings: Settings, *, words: Sequence[str] = (), keep: Sequence[int] = ()) -> None:
        """Start it.

        Args:
            module: what it runs.
            settings: what it is told.
            words: arguments of its command line.
            keep: descriptors that it inherits.
        """
        self.module = module
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            pass_fds=tuple(keep),
        )
        assert self._process.stdin is not None
        # The settings may hold passwords: through the pipe they don't show in the list of processes.
        self._process.stdin.write(settings.model_dump_json().encode() + b"\n")

    @property
    def process_id(self) -> int:
        """The process's id."""
        return self._process.pid

    def has_to_be_replaced(self) -> bool:
        """Return whether it has died, and long enough after its start; says so."""
        status = self._process.poll()
        if status is None or time.monotonic() - self._started < MIN_LIFE_S:
            return False
        _logger.error(
            "a process of the server died, another takes its place",
            action="child_died",
            module=self.module,
            process_id=self.process_id,
            status=status,
        )
        self.close_pipes()
        return True

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self._process.terminate()

    def wait_until_it_works(self, timeout_s: float) -> None:
        """Return when it has called `say_that_it_works`, or has ended, or the time is over."""
        assert self._process.stdout is not None
        select.select([self._process.stdout], [], [], timeout_s)

    def close_pipes(self) -> None:
        """Let it see that nobody needs it any more."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def wait_or_kill(self, timeout_s: float) -> None:
        """Return when it has ended; it is killed when it does not within the time."""
        try:
            self._process.wait(max(0.0, timeout_s))
        except subprocess.TimeoutExpired:
            _logger.error(
                "a process of the server does not end, killed",
                action="child_killed",
                module=self.module,
                process_id=self.process_id,
            )
            self._process.kill()
            self._process.wait()
        self.close_pipes()


def say_that_it_works() -> None:
    """Tell the parent, from within a child, that what it was started for goes on; called once."""
    os.write(sys.stdout.fileno(), b"\n")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nobody reads the pipe from now on
