"""Several processes that answer on one socket: started, watched, started again when one dies, and ended together."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

from mltrail_cli.server.child import Child
from mltrail_cli.settings import Settings

_END_S = 15.0
"""How long a worker may take to end; a little more than requests and appender are given."""
_LOOK_S = 0.2


class WorkerProcesses:
    """`settings.workers` processes of `mltrail_cli.server.worker`."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._workers: list[Child] = []
        self._channels: list[socket.socket] = []
        """Ends of the channels on which workers talk with the projector, until somebody serves them."""

    def start(self) -> None:
        """Start them all; returns before they answer."""
        self._workers = [self._started() for _ in range(self._settings.workers)]

    def watch(self, stop: threading.Event, serve: Callable[[socket.socket], None]) -> None:
        """Replace workers that die, until `stop` is set; `serve` is given the projector's ends of their channels."""
        while not stop.wait(_LOOK_S):
            while self._channels:
                serve(self._channels.pop())
            for number, worker in enumerate(self._workers):
                if worker.has_to_be_replaced():
                    self._workers[number] = self._started()

    def close(self) -> None:
        """Ask all to end, wait, and kill those that do not; idempotent."""
        for worker in self._workers:
            worker.terminate()
        give_up = time.monotonic() + _END_S
        for worker in self._workers:
            worker.wait_or_kill(give_up - time.monotonic())
        while self._channels:
            self._channels.pop().close()

    def _started(self) -> Child:
        ours, theirs = socket.socketpair()
        self._channels.append(ours)
        with theirs:
            kept = [self._listener.fileno(), theirs.fileno()]
            return Child("mltrail_cli.server.worker", self._settings, words=[str(number) for number in kept], keep=kept)
