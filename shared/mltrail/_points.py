"""Points between the calls and the packing thread: one flat list, five entries for each point.

A tuple for each point would cost its making, its freeing by another thread, and the garbage collector's looking at it,
together a third of all that a point costs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, Self

from mltrail._stream import Stream

ENTRIES = 5
"""Of each point: its stream, key, value (exactly a float), step (of 64 bits) and time in ns."""
Entry = Stream | str | float | int


class PointSink(Protocol):
    """What takes points: the buffer's list; what waits until they are on the disk; after the end what counts them."""

    def __iadd__(self, entries: Iterable[Entry], /) -> Self:
        """Take the entries of whole points, all at once: a list takes those of a tuple or list without letting another
        thread in between."""

    def __len__(self) -> int:
        """Return how many entries wait."""
