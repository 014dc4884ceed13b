"""The API's own producer: what concurrent requests append is gathered and made durable, one append at a time.

Either a thread appends the next group or, where the log has lines, the event loop does (`loop_line`): they take turns.
A request waits until its record is durable, refused, or of unknown outcome. Event loop and thread meet twice for each
group, not for each record: two threads that hand a lock to and fro cost more than all else that is done for a small
record.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Sequence
from functools import partial

import structlog

from mltrail_api.append_group import (
    Done,
    Group,
    Outcome,
    Pending,
    Sequencer,
    Written,
    answer,
    records_of,
    resolving,
)
from mltrail_api.loop_line import MAX_LINE_BYTES, HandedOver, LoopLine
from mltrail_core.errors import OutcomeUnknown, Unavailable
from mltrail_core.events import Event
from mltrail_core.ids import Partition, new_producer_id
from mltrail_core.log import EventLog
from mltrail_core.log.line import AppendLine, LogWithLines
from mltrail_core.record import Actor, FrozenRecord, Record, SinglePoint

__all__ = ["Appender", "Done", "Outcome", "Written"]

_logger = structlog.get_logger(__name__)

MAX_GROUP_RECORDS = 512
MAX_GROUP_BYTES = 8 << 20
"""One commit takes at most this much, so that the first request of a group does not wait for a very long write."""
MAX_WAITING = 4096
"""More requests than this waiting for the log are refused: they would time out before their turn."""
UNKNOWN_OUTCOME_BOUND_S = 10.0
"""How long an append whose outcome is unknown is repeated before the request is answered 503."""
_REPEAT_PAUSE_S = 0.05
MAX_PASSED_ON = 256
"""The thread goes on by itself while more than so many records wait."""
REPLY_TIMEOUT_S = 10.0
"""How long the thread waits for the answer to an append that a line has sent."""


class Appender:
    """One incarnation of the API as a producer. `append` may be called from any event loop; the thread starts lazily,
    so an appender made before a fork is fine as long as nothing was appended."""

    def __init__(self, log: EventLog, *, unknown_outcome_bound_s: float = UNKNOWN_OUTCOME_BOUND_S) -> None:
        self.producer = new_producer_id()
        self._log = log
        self._bound_s = unknown_outcome_bound_s
        self._lines = log if isinstance(log, LogWithLines) else None
        self._waiting: deque[Pending] = deque()
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()
        """Wakes the thread; one word for all that a turn of the event loop has put into `_waiting`."""
        self._calling: asyncio.AbstractEventLoop | None = None
        """The event loop that is going to wake the thread at the end of its turn."""
        self._sequencer = Sequencer()
        self._by: LoopLine | None = None
        """Who appends the next group: a line in an event loop, or, when None, the thread."""
        self._handed_over: HandedOver | None = None
        """What a line left to the thread."""
        self._line: AppendLine | None = None
        """The thread's while no event loop has it."""
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    async def append(self, partition: Partition, events: Sequence[Event], actor: Actor) -> Written:
        """Return once the events are durable, as one record of this producer.

        Raises:
            Invalid: the events make no record: too large, or a value that can't be written.
            LogFull: nothing was appended, the log is past a low-water mark.
            Unavailable: nothing was appended, or (`OutcomeUnknown`) the log did not say so within the bound.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Written] = loop.create_future()
        done, is_gone = resolving(future), future.cancelled
        self._queue(Pending(partition, events, actor, None, self.producer, 0, loop, done, is_gone))
        return await future

    async def append_frozen(self, records: Sequence[tuple[Record, FrozenRecord]]) -> list[Written]:
        """Return once records that other producers froze are durable, as they are and in their order.

        Args:
            records: each with what its bytes decode to.

        Raises:
            LogFull, Unavailable: as `append`, of the first that was not appended; others may have been.
        """
        if not records:
            return []
        loop = asyncio.get_running_loop()
        all_told: asyncio.Future[None] = loop.create_future()
        outcomes: dict[int, Outcome] = {}

        def tell(number: int, outcome: Outcome) -> None:
            outcomes[number] = outcome
            if len(outcomes) == len(records) and not all_told.done():
                all_told.set_result(None)

        # All are queued before the first await returns, so they stay in order and share a commit.
        for number, (record, frozen) in enumerate(records):
            producer, sequence, done = record.producer, record.sequence, partial(tell, number)
            try:
                self._queue(Pending(record.partition, (), None, frozen, producer, sequence, loop, done, None))
            except Unavailable as error:
                tell(number, error)
        await all_told
        written = []
        for number in range(len(records)):
            outcome = outcomes[number]
            if not isinstance(outcome, Written):
                raise outcome
            written.append(outcome)
        return written

    def submit(self, partition: Partition, events: Sequence[Event] | SinglePoint, actor: Actor, done: Done) -> None:
        """Append as `append` does, and tell `done` in the running event loop what came of it: `Written`, or the error.

        Raises:
            Unavailable: the appender is closed, or too many wait; nothing was appended, and `done` is not called.
        """
        loop = asyncio.get_running_loop()
        self._queue(Pending(partition, events, actor, None, self.producer, 0, loop, done, None))

    def close(self, timeout_s: float = 10.0) -> None:
        """Append what waits, then end the thread; later appends raise `Unavailable`."""
        with self._lock:
            self._is_closed = True
            thread, by = self._thread, self._by
            if by is not None:
                self._take_back(by)
        if by is not None and not by.loop.is_closed():
            if _is_running_here(by.loop):
                by.retire()
            else:
                by.retire_from_afar()
        if thread is not None:
            self._calls.put(None)
            thread.join(timeout_s)

    def _queue(self, pending: Pending) -> None:
        with self._lock:
            if self._is_closed:
                raise Unavailable("the server is stopping; send the request again to the one that follows")
            if len(self._waiting) >= MAX_WAITING:
                raise Unavailable(f"{MAX_WAITING} requests already wait for the log; nothing was appended")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mltrail-appender", daemon=True)
                self._thread.start()
            self._waiting.append(pending)
            by = self._by
            if by is not None and by.loop.is_closed():
                self._take_back(by)
                by = None
            elif by is not None and by.loop is not pending.loop:
                # Two event loops at once: the thread is there for both, and does not end when one of them does.
                self._lines = None
                by.loop.call_soon_threadsafe(by.give_up)
                return
            elif by is not None:
                if by.is_called:
                    return
                by.is_called = True
        # At the end of a turn, so that all who came in it share a group.
        if by is not None:
            by.loop.call_soon(by.send)
        elif self._calling is not pending.loop:
            self._calling = pending.loop
            pending.loop.call_soon(self._calls.put, None)

    def _run(self) -> None:
        while True:
            self._calls.get()
            # Before the look at what waits: who comes after it finds nobody calling, and calls.
            self._calling = None
            while group := self._next_group():
                self._append(group, is_repeated=False)
                self._pass_on(group[-1].loop)
            with self._lock:
                if self._is_closed and not self._waiting and self._by is None:
                    break
        if self._line is not None:
            self._line.close()

    def _next_group(self) -> Group:
        """Return what the thread has to append; first what a line left to it, of which it may see to the end here."""
        while True:
            with self._lock:
                if self._by is not None:
                    return ()
                handed_over, self._handed_over = self._handed_over, None
            if handed_over is None:
                return self._sequencer.next_group(
                    self._waiting, max_records=MAX_GROUP_RECORDS, max_bytes=MAX_GROUP_BYTES
                )
            self._line = handed_over.line
            match handed_over.state:
                case "unsent" if handed_over.group:
                    return handed_over.group
                case "unknown":
                    self._append(handed_over.group, is_repeated=True)
                case "under way":
                    self._finish(handed_over.group, handed_over.line)

    def _finish(self, group: Group, line: AppendLine) -> None:
        try:
            appended = line.finish(REPLY_TIMEOUT_S)
        except OutcomeUnknown as error:
            _logger.warning("append of unknown outcome", action="append_repeated", error=str(error))
            self._append(group, is_repeated=True)
        except Unavailable:
            self._append(group, is_repeated=False)
        else:
            answer(group, self._sequencer.written(group, appended, is_repeated=False))

    def _append(self, group: Group, *, is_repeated: bool) -> None:
        records = records_of(group)
        give_up = time.monotonic() + self._bound_s
        while True:
            try:
                appended = self._log.append(records)
            except OutcomeUnknown as error:
                is_repeated = True
                _logger.warning("append of unknown outcome", action="append_repeated", error=str(error))
            except Unavailable as error:
                if not is_repeated:
                    self._sequencer.free(group)
                    return answer(group, error)
            else:
                return answer(group, self._sequencer.written(group, appended, is_repeated=is_repeated))
            # Once an outcome was unknown, it stays so through "can't be reached"; the same bytes go out again.
            if time.monotonic() >= give_up:
                return answer(group, OutcomeUnknown(
                    f"the log did not say within {self._bound_s:g} s whether the append happened; look before repeating"
                ))  # fmt: skip
            time.sleep(_REPEAT_PAUSE_S)

    def _pass_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let a line in the event loop append what comes next, where the log has lines and can be reached."""
        if self._lines is None or self._is_much_waiting():
            return
        if self._line is None or not self._line.is_open:
            try:
                self._line = self._lines.open_line()
            except Unavailable:
                return  # the next group finds out whether that lasts
            if self._line is None:
                return
        with self._lock:
            if self._is_closed or loop.is_closed():
                return
            self._by = LoopLine(loop, self._line, self._waiting, self._sequencer, self._lock, self._hand_over)
            begin, self._line = self._by.begin, None
        try:
            loop.call_soon_threadsafe(begin)
        except RuntimeError:  # the loop was closed meanwhile
            with self._lock:
                if self._by is not None:
                    self._take_back(self._by)

    def _is_much_waiting(self) -> bool:
        """Whether a line would give back what waits: the thread makes one group of it."""
        with self._lock:
            frozen = [pending.frozen for pending in self._waiting if pending.frozen is not None]
            return len(self._waiting) > MAX_PASSED_ON or any(len(each) > MAX_LINE_BYTES for each in frozen)

    def _hand_over(self, by: LoopLine, what: HandedOver) -> None:
        """Have the thread go on; called by the line, which holds the lock."""
        if self._by is by:
            self._by, self._handed_over = None, what
            self._calls.put(None)

    def _take_back(self, by: LoopLine) -> None:
        self._hand_over(by, by.abandon())


def _is_running_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
