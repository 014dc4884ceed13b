"""What a session could not keep or deliver: counted by reason, and said aloud without flooding the terminal."""

from __future__ import annotations

import logging
import threading
import time

logger = logging.getLogger("mltrail")

_REPEAT_S = 30.0
"""A reason that goes on is said again after this long."""


class Losses:
    """Counts of what was lost, by reason. Safe to use from many threads."""

    def __init__(self) -> None:
        self._begin()

    def begin_again_in_child(self) -> None:
        """Count from 0 in a forked process."""
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._said: dict[str, float] = {}

    def add(self, reason: str, count: int = 1, *, detail: str = "") -> None:
        """Count `count` losses for `reason`; a warning says so, the first time at once."""
        with self._lock:
            total = self._counts[reason] = self._counts.get(reason, 0) + count
            now = time.monotonic()
            is_due = now - self._said.get(reason, float("-inf")) >= _REPEAT_S
            if is_due:
                self._said[reason] = now
        if is_due:
            logger.warning("mltrail: %s (%d so far)%s", reason, total, f": {detail}" if detail else "")

    def counts(self) -> dict[str, int]:
        """Return the count of every reason that occurred."""
        with self._lock:
            return dict(self._counts)
