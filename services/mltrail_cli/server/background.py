"""The parts of a server that work beside the API: the projector and the jobs, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from mltrail_cli.composition import Ports
from mltrail_cli.settings import Role

_JOIN_S = 10.0
"""How long an end waits for a transaction under way; what it has not committed by then is projected after a start."""

_logger = structlog.get_logger("mltrail.server")


class Background:
    """Threads that run until they are told to stop."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, role: Role, ports: Ports) -> None:
        """Start what `role` runs beside, or instead of, an API."""
        if role in ("all", "projector"):
            from mltrail_projector.loop import Projector

            self._run("mltrail-projector", Projector(ports.log, ports.read_model).run)

    def close(self) -> None:
        """Tell the threads to stop, and wait until they have finished what they were at."""
        self._stop.set()
        for thread in self._threads:
            thread.join(_JOIN_S)
            if thread.is_alive():
                _logger.warning("left behind while it works", action="thread_left", thread=thread.name)

    def _run(self, name: str, work: Callable[[threading.Event], None]) -> None:
        thread = threading.Thread(target=work, args=(self._stop,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
