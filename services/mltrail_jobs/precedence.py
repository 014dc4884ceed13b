"""Who goes first in a process that projects and compacts: the projector, unless it needs all there is for too long."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 300.0
"""After so long a round of compaction goes on although the projector is behind: each block makes reading slower."""


class Precedence:
    """Lets a projector that is behind have the interpreter, which compaction would take from it for seconds."""

    def __init__(
        self, is_projector_behind: Callable[[], bool] = lambda: False, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._is_projector_behind = is_projector_behind
        self._clock_s = clock_s
        self._held_up_since_s: float | None = None
        self._is_patient = True

    def begin_round(self) -> None:
        """Decide for a round of compaction whether it lets others go first."""
        since_s = self._held_up_since_s
        self._is_patient = since_s is None or self._clock_s() - since_s < PATIENCE_S
        if not self._is_patient:
            self._held_up_since_s = None

    def must_wait(self) -> bool:
        """Return whether the projector is to go first now."""
        if not (self._is_patient and self._is_projector_behind()):
            return False
        if self._held_up_since_s is None:
            self._held_up_since_s = self._clock_s()
        return True

    def end_round(self) -> None:
        """Note that a round did all there was: only a round that was not held up ends so."""
        self._held_up_since_s = None
