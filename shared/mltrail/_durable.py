"""`durability="sync"`: a call returns once what it logged is on the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Self

from mltrail._points import Entry


class DurablePoints:
    """Takes points as the buffer does, and returns when they are kept. Calls of many threads share a commit."""

    def __init__(self, points: list[Entry], settle: Callable[[], None]) -> None:
        self._points = points
        self._settle = settle

    def __iadd__(self, entries: Iterable[Entry], /) -> Self:
        """Take some points."""
        self._points += entries
        self._settle()
        return self

    def __len__(self) -> int:
        """Return how many entries wait."""
        return len(self._points)
