"""Between the training code and the packing thread: calls append here and return.

Points are the hot path: entries added to a list, which is atomic in CPython, so no lock. All else is rarer and takes
one that only other calls hold. The packing thread holds none that a call needs while there is room: interrupted with it
in hand, which may happen at any moment, it would make the training wait until it runs again, and once more for the
interpreter, 5 ms at a time.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from mltrail._losses import Losses
from mltrail._points import ENTRIES, Entry
from mltrail._settings import WhenFull
from mltrail._stream import Outgoing, Sized, Stream, Upload
from mltrail_core.events import ExperimentEnsured, RunStatusChanged
from mltrail_core.record import GOOD_RECORD_BYTES

WAKE_POINTS = 32_768
WAKE_BYTES = GOOD_RECORD_BYTES
"""So many points, or so many bytes of anything else, wake the packing thread before its interval is over."""


@dataclass(frozen=True, slots=True)
class Said:
    """An event of a run, or a block of its points."""

    stream: Stream
    sized: Sized


@dataclass(frozen=True, slots=True)
class Ensure:
    """The experiment that a new run names."""

    stream: Stream
    event: ExperimentEnsured


@dataclass(frozen=True, slots=True)
class Keep:
    """An artifact whose copy is made and whose upload must not be forgotten."""

    upload: Upload


@dataclass(slots=True, eq=False)
class Flush:
    """A question: which record is the last that holds what was said before this? `packed` is set last."""

    packed: threading.Event = field(default_factory=threading.Event)
    position: int = 0
    is_kept: bool = False
    """Whether all that was packed with it is in the spool."""


@dataclass(frozen=True, slots=True)
class Close:
    """The end of a stream, after all that was said before."""

    stream: Stream
    status: RunStatusChanged | None
    flush: Flush


@dataclass(frozen=True, slots=True)
class Frozen:
    """A record of a producer of its own."""

    outgoing: Outgoing


Item = Said | Ensure | Frozen | Keep | Flush | Close


class Buffer:
    """What was said and is not packed yet, in two bounded queues."""

    def __init__(
        self,
        *,
        max_points: int,
        max_bytes: int,
        when_full: WhenFull,
        block_timeout_s: float,
        attend: Callable[[], None],
        wake: Callable[[], None],
        losses: Losses,
    ) -> None:
        self.points: list[Entry] = []
        """Taken from its front by the packing thread alone, and never replaced: callers hold it."""
        self.mark = 0
        """From so many entries on a caller must ask `admits_points`; 0 while nobody packs, as after a fork."""
        self._max_entries = max_points * ENTRIES
        self._max_bytes = max_bytes
        self._block_timeout_s = block_timeout_s if when_full == "block" else 0.0
        self._attend = attend
        self._wake = wake
        self._losses = losses
        self._items: deque[Item] = deque()
        self._begin()

    def _begin(self) -> None:
        self.mark = 0
        self._putting = threading.RLock()  # a signal's handler may log while this thread puts
        self._put_bytes = 0
        """Of all items ever; written by those who put. What of it was taken is counted by who takes."""
        self._taken_bytes = 0
        self._room = threading.Condition()
        self._waiting_calls = 0
        """Calls that wait for room; while there are none the packing thread leaves their lock alone."""
        self._is_overflowing = False

    def begin_again_in_child(self) -> None:
        """Forget what the parent will send; locks are made anew, since another thread may have held the old ones."""
        self.points.clear()
        self._items.clear()
        self._begin()

    def attended(self) -> None:
        """Let callers append without asking: somebody packs now."""
        self.mark = min(WAKE_POINTS * ENTRIES, self._max_entries)

    def admits_points(self, count: int) -> bool:
        """Return whether more points may be appended; wait for room a bounded time, then count the loss of `count`."""
        self._attend()
        self._wake()
        if len(self.points) < self._max_entries:
            return True
        if self._wait_for(lambda: len(self.points) < self._max_entries):
            return True
        self._losses.add("points dropped, the buffer is full", count)
        return False

    def put(self, item: Item) -> bool:
        """Append and return True; or, for an event that found no room in time, count a loss and return False."""
        self._attend()
        sized = item.sized if isinstance(item, Said) else None
        if sized is not None and self._items_bytes >= self._max_bytes:
            self._wake()
            if not self._wait_for(lambda: self._items_bytes < self._max_bytes):
                what = "points" if sized.point_count else "params, tags or artifacts"
                self._losses.add(f"{what} dropped, the buffer is full", sized.point_count or 1)
                return False
        with self._putting:
            self._items.append(item)
            self._put_bytes += _size_bytes(item)
        if self._items_bytes >= WAKE_BYTES or isinstance(item, Flush | Close):
            self._wake()
        return True

    @property
    def point_count(self) -> int:
        """How many points wait."""
        return len(self.points) // ENTRIES

    def take_points(self, max_points: int | None = None) -> list[Entry]:
        """Return and remove the oldest points, or all; called by one thread alone."""
        taken = self.points[: None if max_points is None else max_points * ENTRIES]
        del self.points[: len(taken)]  # what callers have added meanwhile stands behind these
        if taken:
            self._announce_room()
        return taken

    def take_items(self) -> list[Item]:
        """Return and remove all items, in order; called by one thread alone."""
        taken = [self._items.popleft() for _ in range(len(self._items))]
        if taken:
            self._taken_bytes += sum(map(_size_bytes, taken))
            self._announce_room()
        return taken

    @property
    def _items_bytes(self) -> int:
        return self._put_bytes - self._taken_bytes

    def _announce_room(self) -> None:
        # A call counts itself before it looks for room: either it is seen here, or it sees the room.
        if self._is_overflowing or self._waiting_calls:
            with self._room:
                self._is_overflowing = False
                self._room.notify_all()

    def _wait_for(self, has_room: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + self._block_timeout_s
        with self._room:
            self._waiting_calls += 1
            try:
                while not has_room():
                    remaining_s = deadline - time.monotonic()
                    # Wait once for each time the buffer fills up: an outage must not cost the training a wait per call.
                    if self._is_overflowing or remaining_s <= 0:
                        self._is_overflowing = True
                        return False
                    self._room.wait(remaining_s)
            finally:
                self._waiting_calls -= 1
        return True


def _size_bytes(item: Item) -> int:
    return item.sized.size_bytes if isinstance(item, Said) else 0
