"""`durability="sync"`: a call returns once what it logged is on the disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from mltrail._buffer import Point


class DurablePoints:
    """Takes points as the buffer does, and returns when they are kept. Calls of many threads share a commit."""

    def __init__(self, points: deque[Point], settle: Callable[[], None]) -> None:
        self._points = points
        self._settle = settle

    def append(self, point: Point, /) -> None:
        """Take a point."""
        self._points.append(point)
        self._settle()

    def extend(self, points: Iterable[Point], /) -> None:
        """Take some points."""
        self._points.extend(points)
        self._settle()

    def __len__(self) -> int:
        return len(self._points)
