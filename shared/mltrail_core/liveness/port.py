"""The port `Liveness`: who was alive when, by the clock of the place that keeps the marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

KEEP_S = 24 * 3600.0
"""Marks older than this say nothing any more and may be forgotten: what is lost by then is lost in the log."""
API_DUTY, REAPER_DUTY = "api", "reaper"
"""The duties whose gaps excuse silent trainers: taking their marks, and looking at them."""
API_PATIENCE_S = 30.0
"""A shorter absence of the API costs a trainer three marks at most, and no lease."""


@dataclass(frozen=True, slots=True)
class Attendance:
    """How long somebody has been at a duty: from `since_us` to `until_us` (µs UTC), with no gap over its patience."""

    since_us: int
    until_us: int


class Liveness(Protocol):
    """Marks of subjects: runs, producers, by their ids. Safe to use from many threads and processes, and after a fork.

    Losing marks is harmless: whoever is alive marks again soon, and the reaper waits a whole lease when it was away.
    """

    def mark(self, subjects: Sequence[str]) -> None:
        """Keep that these subjects are alive now.

        Raises:
            Invalid: a subject is no id (`rules.id_fault`); nothing was marked.
            Unavailable: the marks can't be reached.
        """

    def last_seen(self, subjects: Sequence[str]) -> dict[str, int]:
        """Return when each subject was last marked (µs UTC); those of which nothing is known are left out.

        Raises:
            Unavailable: the marks can't be reached.
        """

    def now_us(self) -> int:
        """Return the present by the clock that marks get their times from.

        Raises:
            Unavailable: the clock can't be reached.
        """

    def attend(self, duty: str, *, patience_s: float) -> Attendance:
        """Keep that somebody is at `duty` now, and return since when without a gap longer than `patience_s`.

        Raises:
            Invalid: the duty is no id.
            Unavailable: the marks can't be reached.
        """

    def attended(self, duty: str) -> Attendance | None:
        """Return how long somebody was last at `duty`, or None when nobody was within `KEEP_S`.

        Raises:
            Unavailable: the marks can't be reached.
        """

    def forget(self, *, older_than_s: float = KEEP_S) -> int:
        """Drop older marks and return how many.

        Raises:
            Unavailable: the marks can't be reached.
        """

    def close(self) -> None:
        """Release connections. The object must not be used afterwards."""
