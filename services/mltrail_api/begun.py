"""What this worker began while the projector was behind: so that a training goes on though nothing can be read yet."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")
_MAX_REMEMBERED = 10_000


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
