"""Frozen records between the packing and the sending thread: here they stay until the log has acknowledged them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from mltrail._stream import Outgoing


@dataclass(frozen=True, slots=True)
class Unsent:
    """What an outbox still holds."""

    record_count: int
    event_count: int
    point_count: int
    run_ids: tuple[str, ...]


class Outbox:
    """A queue in which positions count from 1; a record leaves it once it is settled: acknowledged or refused."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._begin()

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[Outgoing] = deque()
        self._bytes = 0
        self._put = 0
        self._settled = 0
        self._is_stopping = False

    def begin_again_in_child(self) -> None:
        """Forget what the parent will send."""
        self._begin()

    @property
    def settled(self) -> int:
        """How many records were acknowledged or refused so far."""
        return self._settled

    def has_room(self) -> bool:
        """Return whether more should be put."""
        return self._bytes < self._max_bytes

    def put(self, outgoing: Sequence[Outgoing]) -> int:
        """Append the records and return the position of the last record put so far."""
        with self._changed:
            self._waiting.extend(outgoing)
            self._bytes += sum(len(one.record.frozen) for one in outgoing)
            self._put += len(outgoing)
            self._changed.notify_all()
            return self._put

    def wait_for_batch(self, *, max_records: int, max_bytes: int, timeout_s: float) -> list[Outgoing]:
        """Return the oldest records without removing them, at least one; [] when none came in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_stopping, timeout_s)
            batch: list[Outgoing] = []
            for one in self._waiting:
                max_bytes -= len(one.record.frozen)
                if batch and (max_bytes < 0 or len(batch) == max_records):
                    break
                batch.append(one)
            return batch

    def stop_waiting(self) -> None:
        """Let `wait_for_batch` return at once from now on."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()

    def settle(self, count: int) -> None:
        """Remove the oldest `count` records."""
        with self._changed:
            for _ in range(count):
                self._bytes -= len(self._waiting.popleft().record.frozen)
            self._settled += count
            self._changed.notify_all()

    def wait_settled(self, position: int, deadline: float) -> bool:
        """Return True once all records up to `position` are settled, False at `deadline` (time.monotonic)."""
        with self._changed:
            timeout_s = max(0.0, deadline - time.monotonic())
            return self._changed.wait_for(lambda: self._settled >= position, timeout_s)

    def unsent(self) -> Unsent:
        """Return what is not settled."""
        with self._changed:
            waiting = list(self._waiting)
        return Unsent(
            len(waiting),
            sum(one.event_count for one in waiting),
            sum(one.point_count for one in waiting),
            tuple(dict.fromkeys(one.run_id for one in waiting)),
        )
