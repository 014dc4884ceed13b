"""The API's own producer: what concurrent requests append is gathered and made durable by one `log.append` a time.

One thread owns the producer's sequences; a request waits until its record is durable, refused, or of unknown outcome.
The event loop and that thread meet twice for each group, not for each record: two threads that hand a lock to and fro
cost more than all else that is done for a small record.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from mltrail_core.errors import MltrailError, OutcomeUnknown, Unavailable
from mltrail_core.events import Event
from mltrail_core.ids import Partition, ProducerId, new_producer_id
from mltrail_core.log import Appended, EventLog, NewRecord
from mltrail_core.record import Actor, FrozenRecord, Record, SinglePoint, freeze_point, freeze_record

_logger = structlog.get_logger(__name__)

MAX_GROUP_RECORDS = 512
MAX_GROUP_BYTES = 8 << 20
"""One commit takes at most this much, so that the first request of a group does not wait for a very long write."""
MAX_WAITING = 4096
"""More requests than this waiting for the log are refused: they would time out before their turn."""
UNKNOWN_OUTCOME_BOUND_S = 10.0
"""How long an append whose outcome is unknown is repeated before the request is answered 503."""
_REPEAT_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Written:
    """A durable record: where it is, and under which identity the fold knows it.

    `may_be_twice` says that the append was repeated: the fold has dropped one of two equal records, maybe this one.
    From the index `alone_since` to this one, its partition holds nothing but records of the appender's own producer.
    """

    appended: Appended
    producer: ProducerId
    sequence: int
    may_be_twice: bool
    alone_since: int


Outcome = Written | MltrailError
Done = Callable[[Outcome], None]
"""Is told once, in the event loop, what became of a record."""


@dataclass(slots=True, eq=False)
class _Pending:
    """One request's record on its way; `frozen` is None until the appender's thread gives it a sequence."""

    partition: Partition
    events: Sequence[Event] | SinglePoint
    actor: Actor | None
    frozen: FrozenRecord | None
    producer: ProducerId
    sequence: int
    loop: asyncio.AbstractEventLoop
    done: Done
    is_gone: Callable[[], bool] | None
    """Whether nobody waits any more, so that nothing has to be appended; None when somebody always does."""


class Appender:
    """One incarnation of the API as a producer. `append` may be called from any event loop; the thread starts lazily,
    so an appender made before a fork is fine as long as nothing was appended."""

    def __init__(self, log: EventLog, *, unknown_outcome_bound_s: float = UNKNOWN_OUTCOME_BOUND_S) -> None:
        self.producer = new_producer_id()
        self._log = log
        self._bound_s = unknown_outcome_bound_s
        self._waiting: deque[_Pending] = deque()
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()
        """Wakes the thread; one word for all that a turn of the event loop has put into `_waiting`."""
        self._calling: asyncio.AbstractEventLoop | None = None
        """The event loop that is going to wake the thread at the end of its turn."""
        self._sequences: Counter[Partition] = Counter()
        self._alone: dict[Partition, tuple[int, int]] = {}
        """The first and last index of the latest records of each partition that follow one another and are all ours."""
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
        done, is_gone = partial(_resolve, future), future.cancelled
        self._queue(_Pending(partition, events, actor, None, self.producer, 0, loop, done, is_gone))
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
                self._queue(_Pending(record.partition, (), None, frozen, producer, sequence, loop, done, None))
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
        self._queue(_Pending(partition, events, actor, None, self.producer, 0, loop, done, None))

    def close(self, timeout_s: float = 10.0) -> None:
        """Append what waits, then end the thread; later appends raise `Unavailable`."""
        with self._lock:
            self._is_closed = True
            thread = self._thread
        if thread is not None:
            self._calls.put(None)
            thread.join(timeout_s)

    def _queue(self, pending: _Pending) -> None:
        with self._lock:
            if self._is_closed:
                raise Unavailable("the server is stopping; send the request again to the one that follows")
            if len(self._waiting) >= MAX_WAITING:
                raise Unavailable(f"{MAX_WAITING} requests already wait for the log; nothing was appended")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mltrail-appender", daemon=True)
                self._thread.start()
            self._waiting.append(pending)
        if self._calling is not pending.loop:
            self._calling = pending.loop
            pending.loop.call_soon(self._calls.put, None)

    def _run(self) -> None:
        while True:
            self._calls.get()
            # Before the look at what waits: who comes after it finds nobody calling, and calls.
            self._calling = None
            while group := self._next_group():
                self._append(group)
            with self._lock:
                if self._is_closed and not self._waiting:
                    return

    def _next_group(self) -> list[_Pending]:
        group: list[_Pending] = []
        size_bytes = 0
        while self._waiting and len(group) < MAX_GROUP_RECORDS and size_bytes < MAX_GROUP_BYTES:
            pending = self._waiting.popleft()
            size_bytes += self._freeze(pending)
            if pending.frozen is not None:
                group.append(pending)
        return group

    def _freeze(self, pending: _Pending) -> int:
        """Give the record its sequence and bytes, and return how many; a request that can't be frozen is told so."""
        if pending.actor is not None and not (pending.is_gone is not None and pending.is_gone()):
            sequence = self._sequences[pending.partition] + 1
            try:
                pending.frozen, pending.sequence = _frozen(pending, sequence, pending.actor), sequence
            except MltrailError as error:
                _answer([pending], error)
                return 0
            self._sequences[pending.partition] = sequence
        return 0 if pending.frozen is None else len(pending.frozen)

    def _append(self, group: list[_Pending]) -> None:
        records = [NewRecord(pending.partition, pending.frozen) for pending in group if pending.frozen is not None]
        give_up = time.monotonic() + self._bound_s
        is_repeated = False
        while True:
            try:
                appended = self._log.append(records)
            except OutcomeUnknown as error:
                is_repeated = True
                _logger.warning("append of unknown outcome", action="append_repeated", error=str(error))
            except Unavailable as error:
                if not is_repeated:
                    # Nothing was appended, so the sequences are free again and leave no hole.
                    self._sequences.subtract(p.partition for p in group if p.actor is not None)
                    return _answer(group, error)
            else:
                return _answer(group, [
                    Written(done, pending.producer, pending.sequence, is_repeated, self._alone_since(done, pending))
                    for done, pending in zip(appended, group, strict=True)
                ])  # fmt: skip
            # Once an outcome was unknown, it stays so through "can't be reached"; the same bytes go out again.
            if time.monotonic() >= give_up:
                return _answer(group, OutcomeUnknown(
                    f"the log did not say within {self._bound_s:g} s whether the append happened; look before repeating"
                ))  # fmt: skip
            time.sleep(_REPEAT_PAUSE_S)

    def _alone_since(self, done: Appended, pending: _Pending) -> int:
        first, last = self._alone.get(done.partition, (0, -1))
        if pending.actor is None:  # a record that another producer froze
            first = done.index + 1
        elif done.index != last + 1:
            first = done.index
        self._alone[done.partition] = (first, done.index)
        return first


def _frozen(pending: _Pending, sequence: int, actor: Actor) -> FrozenRecord:
    events = pending.events
    if isinstance(events, SinglePoint):
        return freeze_point(pending.partition, pending.producer, sequence, actor, events)
    return freeze_record(Record(pending.partition, pending.producer, sequence, actor, tuple(events)))


def _answer(group: list[_Pending], outcome: list[Written] | MltrailError) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, deque[tuple[Done, Outcome]]] = {}
    for number, pending in enumerate(group):
        answer = outcome[number] if isinstance(outcome, list) else outcome
        by_loop.setdefault(pending.loop, deque()).append((pending.done, answer))
    for loop, answers in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_tell, answers)


def _tell(answers: deque[tuple[Done, Outcome]]) -> None:
    try:
        while answers:
            done, answer = answers.popleft()
            done(answer)
    finally:
        if answers:  # one failed; the others do not wait in vain
            asyncio.get_running_loop().call_soon(_tell, answers)


def _resolve(future: asyncio.Future[Written], outcome: Outcome) -> None:
    if future.done():
        return
    if isinstance(outcome, Written):
        future.set_result(outcome)
    else:
        future.set_exception(outcome)
