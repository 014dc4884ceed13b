"""The API says that it is there to hear of trainers, so that nobody takes them for dead while it was not."""

from __future__ import annotations

import threading

import structlog

from mltrail_core.errors import Unavailable
from mltrail_core.liveness import API_DUTY, API_PATIENCE_S, Liveness

ATTEND_EVERY_S = 10.0

_logger = structlog.get_logger(__name__)


class Attendance:
    """A thread that marks the duty of the API from `start` to `close`."""

    def __init__(self, liveness: Liveness) -> None:
        self._liveness = liveness
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mltrail-attendance", daemon=True)

    def start(self) -> None:
        """Begin to say that somebody is there."""
        self._thread.start()

    def close(self) -> None:
        """Say so no more."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                self._liveness.attend(API_DUTY, patience_s=API_PATIENCE_S)
            except Unavailable as error:  # then marks of trainers are not kept either, which is what this tells
                _logger.warning("signs of life can't be kept", action="attendance_failed", error=str(error))
            if self._stop.wait(ATTEND_EVERY_S):
                return
