"""The projector and the jobs of an embedded server in a process of their own, so that they have an interpreter's lock
and a core beside the API's: `python -m mltrail_cli.server.background_process DESCRIPTOR`, settings as a line on stdin.

The descriptor is an end of the channel on which projector and API talk, see `mltrail_core.near`.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading

from mltrail_cli.server.child import Child, say_that_it_works
from mltrail_cli.settings import Settings
from mltrail_core.near import NearProjector

_END_S = 15.0
"""How long the process may take to end: a transaction under way, or what is left of its loading."""
_LOOK_S = 0.2
_LOADING_S = 30.0
"""The longest that a start waits for the projector; past it reads say that they are behind."""


class BackgroundProcess:
    """The process, seen from the one that answers requests: started, started again when it dies, and ended."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._child: Child | None = None
        self._watcher: threading.Thread | None = None
        self.near = NearProjector()
        """What the API has of the process's projector; another one takes its place when it dies."""

    def start(self, settings: Settings) -> None:
        """Start the process; it loads while this one does."""
        self._child = self._started(settings)
        self._watcher = threading.Thread(target=self._watch, args=(settings,), name="mltrail-background", daemon=True)
        self._watcher.start()

    def wait_until_it_works(self) -> int:
        """Return the process's id once it projects: a client's first question must not wait for its loading."""
        assert self._child is not None
        self._child.wait_until_it_works(_LOADING_S)
        return self._child.process_id

    def close(self) -> None:
        """Let the process finish what it is at, and return when it has ended; idempotent."""
        self._stop.set()
        if self._watcher is not None:
            self._watcher.join()
        if self._child is not None:
            self._child.close_pipes()
            self._child.wait_or_kill(_END_S)

    def _watch(self, settings: Settings) -> None:
        while not self._stop.wait(_LOOK_S):
            if self._child is not None and self._child.has_to_be_replaced():
                self._child = self._started(settings)

    def _started(self, settings: Settings) -> Child:
        ours, theirs = socket.socketpair()
        with theirs:
            child = Child(__name__, settings, words=[str(theirs.fileno())], keep=[theirs.fileno()])
        self.near.reach(ours)
        return child


def is_wanted(settings: Settings) -> bool:
    """Return whether a server with these settings has such a process.

    Several workers are apart from the process that started them, which then projects itself. With one core a second
    process only costs memory.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    is_chosen = settings.background == "process" or (settings.background == "auto" and cores > 1)
    return is_chosen and settings.role == "all" and settings.workers == 1


def main() -> None:
    """Project and do jobs until the parent closes our stdin or is gone.

    Signals are the parent's to hear: those sent to the whole group, as by Ctrl-C, would else end the projector while
    requests still wait for it.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    settings = Settings.model_validate_json(sys.stdin.readline())
    from mltrail_cli.composition import open_ports
    from mltrail_cli.event_lines import configure_event_lines
    from mltrail_cli.server.background import Background

    configure_event_lines()
    ports, background = open_ports(settings), Background()
    background.start_projector(settings, ports)
    background.serve(socket.socket(fileno=int(sys.argv[1])))
    say_that_it_works()
    background.start_jobs(settings)
    sys.stdin.read()
    background.close()
    ports.close()


if __name__ == "__main__":
    main()
