"""The parts of a server that work beside the API: the projector and the jobs, each in a thread of its own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from functools import partial

import structlog

from mltrail_cli.composition import Ports
from mltrail_cli.settings import Settings
from mltrail_core.near import NearProjector, NearReaders

_JOIN_S = 10.0
"""How long an end waits for a transaction under way; what it has not committed by then is projected after a start."""

_logger = structlog.get_logger("mltrail.server")


class Background:
    """Threads that run until they are told to stop."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._readers: NearReaders | None = None
        self._is_projector_behind: Callable[[], bool] = lambda: False

    def start(self, settings: Settings, ports: Ports) -> None:
        """Start what the role runs beside, or instead of, an API."""
        self.start_projector(settings, ports)
        self.start_jobs(settings)

    def start_projector(self, settings: Settings, ports: Ports) -> None:
        """Start to project, when the role does."""
        # Imported by the roles that need it: each start of a projector or an API alone is so much sooner.
        if settings.role in ("all", "projector"):
            from mltrail_projector.loop import Projector

            self._readers = NearReaders(ports.log.look_now)
            projector = Projector(ports.log, ports.read_model, self._readers)
            self._is_projector_behind = lambda: projector.is_behind
            self._run("mltrail-projector", projector.run)

    def serve(self, channel: socket.socket) -> None:
        """Let the projector talk with an API at the other end of a pair of sockets; closed when there is none."""
        if self._readers is None:
            channel.close()
        else:
            self._readers.add(channel)

    def near_projector(self) -> NearProjector:
        """Return what an API in this process has of the projector here, if there is one."""
        near = NearProjector()
        if self._readers is not None:
            ours, theirs = socket.socketpair()
            near.reach(ours)
            self.serve(theirs)
        return near

    def start_jobs(self, settings: Settings) -> None:
        """Start to do jobs, when the role does."""
        if settings.role in ("all", "jobs"):
            from mltrail_jobs.leases import Leases
            from mltrail_jobs.places import Places, Webhooks
            from mltrail_jobs.precedence import Precedence
            from mltrail_jobs.webhook_retries import RetryPolicy
            from mltrail_jobs.webhook_worker import run_deliveries
            from mltrail_jobs.worker import run_jobs

            places = Places(
                settings.log_location,
                settings.read_model_location,
                settings.artifacts_location,
                leases=Leases(settings.lost_after_s, settings.abandoned_after_s),
                webhooks=Webhooks(
                    settings.webhook_secrets_file, settings.webhook_targets, RetryPolicy(settings.webhook_attempts)
                ),
            )
            self._run("mltrail-jobs", partial(run_jobs, places, precedence=Precedence(self._is_projector_behind)))
            self._run("mltrail-webhooks", partial(run_deliveries, places))

    def close(self) -> None:
        """Tell the threads to stop, and wait until they have finished what they were at."""
        self._stop.set()
        give_up = time.monotonic() + _JOIN_S
        for thread in self._threads:
            thread.join(max(0.0, give_up - time.monotonic()))
            if thread.is_alive():
                _logger.warning("left behind while it works", action="thread_left", thread=thread.name)
        if self._readers is not None:
            self._readers.close()

    def _run(self, name: str, work: Callable[[threading.Event], None]) -> None:
        thread = threading.Thread(target=work, args=(self._stop,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
