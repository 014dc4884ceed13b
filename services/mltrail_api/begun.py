"""What this worker keeps for a while of what it began and found: so that a training goes on though nothing can be read
yet, and a stream of writes costs no query each."""

from __future__ import annotations

import time
from typing import Generic, TypeVar

T = TypeVar("T")
_MAX_REMEMBERED = 10_000
FOUND_S = 1.0
"""How long a change by another worker may go unnoticed here."""


class Begun(Generic[T]):
    """Experiments or runs whose creation is durable in the log and not projected yet, by id; the oldest are forgotten.

    Asked only where the read model is known to be behind: what it knows always counts more.
    """

    def __init__(self) -> None:
        self._values: dict[str, T] = {}

    def remember(self, subject: str, value: T) -> None:
        """Keep what was sent for `subject`."""
        if len(self._values) >= _MAX_REMEMBERED:
            del self._values[next(iter(self._values))]
        self._values[subject] = value

    def get(self, subject: str) -> T | None:
        """Return what was sent for `subject`, or None."""
        return self._values.get(subject)


class Found(Generic[T]):
    """What the read model said lately, by id, until this worker changes something; for `FOUND_S` at most."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[T, float]] = {}
        self.changes = 0
        """How often all was forgotten: to be noted before a query whose answer is to be remembered."""

    def remember(self, subject: str, value: T, changes: int) -> None:
        """Keep what a query found, unless all was forgotten since `changes` was noted."""
        if changes == self.changes:
            if len(self._values) >= _MAX_REMEMBERED:
                self._values.clear()
            self._values[subject] = (value, time.monotonic() + FOUND_S)

    def get(self, subject: str) -> T | None:
        """Return what was found a moment ago, or None."""
        found = self._values.get(subject)
        return found[0] if found is not None and time.monotonic() < found[1] else None

    def forget_all(self) -> None:
        """Ask anew: this worker changed something."""
        self._values.clear()
        self.changes += 1
