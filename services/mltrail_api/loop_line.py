"""Appending groups from within an event loop, while the appender's thread sleeps.

A thread costs two wakes for each group, and an interpreter's lock that goes to and fro while both have work. Where the
log has lines (`mltrail_core.log.line`) the event loop sends a group itself, and its socket tells it what is durable; of
a log in a file it knows at once. Whatever is not plain goes back to the thread, which may wait.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mltrail_api.append_group import Group, Pending, Sequencer, answer, records_of
from mltrail_core.errors import OutcomeUnknown, Unavailable
from mltrail_core.log.line import AppendLine

MAX_LINE_BYTES = 64 << 10
"""A group is closed when it has reached this, so that a line takes it unless its last record is large."""
GATHER_S = 0.001
"""How long the next group waits for as many as have just been answered: clients that wait for their answers come back
at once, and an append of sixteen costs little more than one of one. Else groups of one and of fifteen alternate."""
PATIENCE_S = 1.0
"""How long a reply may take before the thread waits for it."""
_RETIRE_S = 1.0

State = Literal["unsent", "under way", "unknown"]


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What a line leaves to the thread: an append that is not sent, under way on `line`, or of unknown outcome."""

    group: Group
    state: State
    line: AppendLine


class LoopLine:
    """One line in one event loop, from `begin` until it hands over; the appender's lock guards all that it holds."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        line: AppendLine,
        waiting: deque[Pending],
        sequencer: Sequencer,
        lock: threading.Lock,
        hand_over: Callable[[LoopLine, HandedOver], None],
    ) -> None:
        self.loop = loop
        self.is_called = True
        """Whether `send` will be called in the loop; at first by `begin`."""
        self._line = line
        self._descriptor = line.fileno()
        self._waiting = waiting
        self._sequencer = sequencer
        self._lock = lock
        self._hand_over = hand_over
        self._under_way: Group | None = None
        self._sent_at_s = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._expected = 0
        """How many are waited for before the next group is sent; none when 0."""
        self._gathering: asyncio.TimerHandle | None = None
        self._is_over = False

    def begin(self) -> None:
        """Append what waits, and go on so; in the event loop."""
        with self._lock:
            if self._is_over:
                return
            if self._descriptor is not None:
                self.loop.add_reader(self._descriptor, self._receive)
                self._watch = self.loop.call_later(PATIENCE_S, self._look_at_clock)
        self.send()

    def send(self) -> None:
        """Send what waits as one group, unless one is under way; in the event loop."""
        with self._lock:
            self.is_called = False
            if self._descriptor is None and len(self._waiting) > self._line.max_records:
                return self._end((), "unsent")  # the thread makes fewer, larger groups of so many
            refused = self._send() if len(self._waiting) >= self._expected else []
            is_answered = self._descriptor is None and self._under_way is not None
        if is_answered:
            self._receive()
        for group, error in refused:
            answer(group, error, here=self.loop)

    def give_up(self) -> None:
        """Leave all to the thread; in the event loop."""
        with self._lock:
            if not self._is_over:
                self._end(self._under_way or (), "under way")

    def abandon(self) -> HandedOver:
        """Return what is under way to somebody who holds the lock; the event loop may be closed, or be this thread's.

        The line is not closed: the event loop, where it still runs, stops watching it in `retire`.
        """
        self._is_over = True
        group, self._under_way = self._under_way, None
        return HandedOver(group or (), "under way" if group else "unsent", self._line)

    def retire(self) -> None:
        """Watch the line no more; in the event loop, after `abandon`."""
        self._gather(0)
        if self._watch is not None and self._descriptor is not None:  # both or neither
            self._watch.cancel()
            self._watch = None
            self.loop.remove_reader(self._descriptor)

    def retire_from_afar(self) -> None:
        """Have `retire` called in the event loop, which another thread runs."""
        retired = threading.Event()

        def retire() -> None:
            self.retire()
            retired.set()

        self.loop.call_soon_threadsafe(retire)
        retired.wait(_RETIRE_S)  # the descriptor must not be closed, and used anew, while it is watched

    def _send(self) -> list[tuple[Group, Unavailable]]:
        refused: list[tuple[Group, Unavailable]] = []
        if self._gathering is not None and self._under_way is None:
            self._gather(0)
        while self._waiting and self._under_way is None and not self._is_over:
            group = self._sequencer.next_group(
                self._waiting, max_records=self._line.max_records, max_bytes=MAX_LINE_BYTES
            )
            if not group:
                continue
            try:
                is_sent = self._line.send(records_of(group))
            except Unavailable as error:
                self._sequencer.free(group)
                refused.append((group, error))
                continue
            if not is_sent:
                self._end(group, "unsent")
            elif self._line.has_unsent:
                self._end(group, "under way")
            else:
                self._under_way, self._sent_at_s = group, time.monotonic()
        return refused

    def _receive(self) -> None:
        with self._lock:
            if self._is_over:
                return self.retire()
            group = self._under_way or ()
            try:
                appended = self._line.receive()
            except OutcomeUnknown:
                return self._end(group, "unknown")
            except Unavailable:
                return self._end(group, "unsent")  # nothing was appended; the thread finds out what is wrong
            if appended is None:
                return
            written = self._sequencer.written(group, appended, is_repeated=False)
            self._under_way = None
            if self._descriptor is not None:  # else who came during the append is the next group
                together = len(group) + len(self._waiting)
                self._gather(min(together, self._line.max_records) if together > 1 else 0)
        if self._descriptor is None:
            self._send_soon()
        answer(group, written, here=self.loop)
        if self._descriptor is not None:
            self.send()

    def _send_soon(self) -> None:
        """Send what waits when the event loop has seen to whatever else came while it stood still."""
        with self._lock:
            if self._is_over or self.is_called or not self._waiting:
                return
            self.is_called = True
        self.loop.call_soon(self.send)

    def _gather(self, expected: int) -> None:
        """Wait for so many before the next group is sent, though not for long; 0: for nobody."""
        if self._gathering is not None:
            self._gathering.cancel()
        self._expected = expected
        self._gathering = self.loop.call_later(GATHER_S, self._send_gathered) if expected else None

    def _send_gathered(self) -> None:
        self._expected = 0
        self.send()

    def _look_at_clock(self) -> None:
        with self._lock:
            if self._is_over:
                return self.retire()
            if self._under_way is not None and time.monotonic() - self._sent_at_s > PATIENCE_S:
                return self._end(self._under_way, "under way")
            self._watch = self.loop.call_later(PATIENCE_S, self._look_at_clock)

    def _end(self, group: Group, state: State) -> None:
        self._is_over, self._under_way = True, None
        self.retire()
        self._hand_over(self, HandedOver(group, state if group else "unsent", self._line))
