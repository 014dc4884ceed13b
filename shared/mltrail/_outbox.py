"""Frozen records between the packing and the sending thread: here they wait until the log has acknowledged them.

A bounded number of bytes is in memory. What is kept on disk and found no room is only counted here, and read back from
the spool when its turn comes.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mltrail._delivery import DeliveryCounts
from mltrail._losses import logger
from mltrail._stream import Outgoing
from mltrail_core.record import GOOD_RECORD_BYTES


@dataclass(frozen=True, slots=True)
class Unsent:
    """What an outbox still holds."""

    record_count: int = 0
    event_count: int = 0
    point_count: int = 0
    run_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settled:
    """What a spool is to be told: ids up to `acknowledged` are done with, some of them since the server refused them;
    `stored` names the uploads of acknowledged records that were not in the spool."""

    acknowledged: int
    refused: Sequence[tuple[int, str]]
    stored: Sequence[str]


@dataclass(frozen=True, slots=True)
class _InMemory:
    outgoing: Outgoing
    spool_id: int
    """0 for what is not in the spool."""


@dataclass(slots=True)
class _OnDisk:
    first_id: int
    last_id: int


class _Tally:
    """Counts of records that are not settled."""

    def __init__(self) -> None:
        self.records = self.events = self.points = 0
        self.runs: dict[str, int] = {}

    def add(self, one: Outgoing) -> None:
        self.records += 1
        self.events += one.event_count
        self.points += one.point_count
        self.runs[one.run_id] = self.runs.get(one.run_id, 0) + 1

    def subtract(self, one: Outgoing) -> None:
        self.records -= 1
        self.events -= one.event_count
        self.points -= one.point_count
        left = self.runs.pop(one.run_id) - 1
        if left:
            self.runs[one.run_id] = left

    def unsent(self) -> Unsent:
        return Unsent(self.records, self.events, self.points, tuple(self.runs))


class Outbox:
    """A queue in which positions count from 1; a record leaves it once it is settled: acknowledged or refused."""

    def __init__(
        self,
        max_bytes: int,
        read: Callable[[int, int], Sequence[tuple[int, Outgoing]]],
        *,
        send_interval_s: float,
    ) -> None:
        """Begin empty.

        Args:
            max_bytes: of frozen records in memory.
            read: returns the oldest spooled records of a range of ids; may raise `Unavailable`.
            send_interval_s: from one batch to the next, unless it is large or somebody waits for it.
        """
        self._max_bytes = max_bytes
        self._read = read
        self._send_interval_s = send_interval_s
        self.counts = DeliveryCounts()
        self._begin()

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[_InMemory | _OnDisk] = deque()
        self._bytes = 0
        self._put = 0
        self._settled = 0
        self._urged = 0
        self._next_batch_at = 0.0
        self._kept, self._unkept = _Tally(), _Tally()
        self._acknowledged = 0
        self._refused: list[tuple[int, str]] = []
        self._stored: list[str] = []
        self._is_stopping = False

    def begin_again_in_child(self) -> None:
        """Forget what the parent will send."""
        self.counts.begin_again_in_child()
        self._begin()

    @property
    def settled(self) -> int:
        """How many records were acknowledged or refused so far."""
        return self._settled

    def has_room(self) -> bool:
        """Return whether more that is not in the spool should be put."""
        return self._bytes < self._max_bytes

    def put(self, outgoing: Sequence[Outgoing], first_id: int = 0) -> int:
        """Append the records and return the position of the last record put so far.

        Args:
            outgoing: the records.
            first_id: the id that the spool gave the first of them, the others follow it; 0 when it has none of them.
        """
        with self._changed:
            tally = self._kept if first_id else self._unkept
            for number, one in enumerate(outgoing):
                if not one.is_of_the_living:
                    tally.add(one)
                self._append(one, first_id + number if first_id else 0)
            self._put += len(outgoing)
            self.counts.made(one.run_id for one in outgoing)
            self._changed.notify_all()
            return self._put

    def wait_for_batch(self, *, max_records: int, max_bytes: int, timeout_s: float) -> list[Outgoing]:
        """Return the oldest records without removing them, at least one; [] when none came in time.

        Raises:
            Unavailable: the spool can't be read now.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not self._is_due(max_records):
                if self._is_stopping or time.monotonic() >= deadline:
                    return []
                wake_at = min(deadline, self._next_batch_at) if self._waiting else deadline
                self._changed.wait(max(0.001, wake_at - time.monotonic()))
            self._next_batch_at = time.monotonic() + self._send_interval_s
        self._bring_into_memory()
        with self._changed:
            batch: list[Outgoing] = []
            for one in self._waiting:
                if isinstance(one, _OnDisk):
                    break
                max_bytes -= len(one.outgoing.record.frozen)
                if batch and (max_bytes < 0 or len(batch) == max_records):
                    break
                batch.append(one.outgoing)
            return batch

    def stop_waiting(self) -> None:
        """Let `wait_for_batch` return at once from now on."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()

    def settle(self, count: int, *, refused: str | None = None) -> None:
        """Remove the oldest `count` records; with `refused` the log will never take them, and why."""
        with self._changed:
            run_ids: list[str] = []
            for _ in range(count):
                one = self._waiting.popleft()
                assert isinstance(one, _InMemory)  # only what was given out as a batch is settled
                self._bytes -= len(one.outgoing.record.frozen)
                run_ids.append(one.outgoing.run_id)
                if not one.outgoing.is_of_the_living:
                    (self._kept if one.spool_id else self._unkept).subtract(one.outgoing)
                if one.spool_id:
                    self._acknowledged = one.spool_id
                    if refused is not None:
                        self._refused.append((one.spool_id, refused))
                else:
                    self._stored.extend(one.outgoing.uploads)
            self._settled += count
            self.counts.settled(run_ids, is_refused=refused is not None)
            self._changed.notify_all()

    def take_settled(self) -> Settled:
        """Return what the spool is to be told; all but `acknowledged` once."""
        with self._changed:
            refused, self._refused = self._refused, []
            stored, self._stored = self._stored, []
            return Settled(self._acknowledged, refused, stored)

    def wait_settled(self, position: int, deadline: float) -> bool:
        """Return True once all records up to `position` are settled, False at `deadline` (time.monotonic)."""
        with self._changed:
            self._urged = max(self._urged, position)
            self._changed.notify_all()
            timeout_s = max(0.0, deadline - time.monotonic())
            return self._changed.wait_for(lambda: self._settled >= position, timeout_s)

    def kept(self) -> Unsent:
        """Return what is not settled, and in the spool."""
        with self._changed:
            return self._kept.unsent()

    def kept_of(self, run_id: str) -> int:
        """Return how many records of a run are not settled, and in the spool."""
        with self._changed:
            return self._kept.runs.get(run_id, 0)

    def unkept(self) -> Unsent:
        """Return what is not settled, and in memory only."""
        with self._changed:
            return self._unkept.unsent()

    def _append(self, one: Outgoing, spool_id: int) -> None:
        last = self._waiting[-1] if self._waiting else None
        size_bytes = len(one.record.frozen)
        if spool_id and isinstance(last, _OnDisk) and last.last_id == spool_id - 1:
            last.last_id = spool_id
        elif spool_id and self._bytes + size_bytes > self._max_bytes:
            self._waiting.append(_OnDisk(spool_id, spool_id))
        else:
            self._waiting.append(_InMemory(one, spool_id))
            self._bytes += size_bytes

    def _is_due(self, max_records: int) -> bool:
        if not self._waiting or self._is_stopping:
            return False
        return (
            max_records == 1
            or self._bytes >= GOOD_RECORD_BYTES
            or isinstance(self._waiting[0], _OnDisk)
            or self._settled < self._urged
            or time.monotonic() >= self._next_batch_at
        )

    def _bring_into_memory(self) -> None:
        """Replace the head by records when they are on disk; no lock is held while they are read."""
        with self._changed:
            head = self._waiting[0]
            if isinstance(head, _InMemory):
                return
            first_id, last_id = head.first_id, head.last_id
        found = self._read(first_id, last_id)
        with self._changed:
            if found:
                head.first_id = found[-1][0] + 1
            else:
                logger.error("mltrail: the spool has lost the records %d to %d", first_id, last_id)
                self._settled += last_id - first_id + 1
                head.first_id = last_id + 1
            if head.first_id > head.last_id:
                self._waiting.popleft()
            self._waiting.extendleft(_InMemory(one, spool_id) for spool_id, one in reversed(found))
            self._bytes += sum(len(one.record.frozen) for _, one in found)
            self._changed.notify_all()
