"""The API's own producer: what concurrent requests append is gathered and made durable by one `log.append` a time.

One thread owns the producer's sequences; a request waits until its record is durable, refused, or of unknown outcome.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from mltrail_core.errors import MltrailError, OutcomeUnknown, Unavailable
from mltrail_core.events import Event
from mltrail_core.ids import Partition, ProducerId, new_producer_id
from mltrail_core.log import Appended, EventLog, NewRecord
from mltrail_core.record import Actor, FrozenRecord, Record, freeze_record

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
    """

    appended: Appended
    producer: ProducerId
    sequence: int
    may_be_twice: bool


@dataclass(slots=True, eq=False)
class _Pending:
    """One request's record on its way; `frozen` is None until the appender's thread gives it a sequence."""

    partition: Partition
    events: tuple[Event, ...]
    actor: Actor | None
    frozen: FrozenRecord | None
    producer: ProducerId
    sequence: int
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Written]


class Appender:
    """One incarnation of the API as a producer. `append` may be called from any event loop; the thread starts lazily,
    so an appender made before a fork is fine as long as nothing was appended."""

    def __init__(self, log: EventLog, *, unknown_outcome_bound_s: float = UNKNOWN_OUTCOME_BOUND_S) -> None:
        self.producer = new_producer_id()
        self._log = log
        self._bound_s = unknown_outcome_bound_s
        self._queue: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._sequences: Counter[Partition] = Counter()
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
        return await self._wait(partition, tuple(events), actor, None, self.producer, 0)

    async def append_frozen(self, record: Record, frozen: FrozenRecord) -> Written:
        """Return once a record that another producer froze is durable, as it is; `record` is what `frozen` decodes to.

        Raises:
            LogFull, Unavailable: as `append`.
        """
        return await self._wait(record.partition, (), None, frozen, record.producer, record.sequence)

    def close(self, timeout_s: float = 10.0) -> None:
        """Append what waits, then end the thread; later appends raise `Unavailable`."""
        with self._lock:
            self._is_closed = True
            thread = self._thread
        if thread is not None:
            self._queue.put(None)
            thread.join(timeout_s)

    async def _wait(
        self,
        partition: Partition,
        events: tuple[Event, ...],
        actor: Actor | None,
        frozen: FrozenRecord | None,
        producer: ProducerId,
        sequence: int,
    ) -> Written:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Written] = loop.create_future()
        with self._lock:
            if self._is_closed:
                raise Unavailable("the server is stopping; send the request again to the one that follows")
            if self._queue.qsize() >= MAX_WAITING:
                raise Unavailable(f"{MAX_WAITING} requests already wait for the log; nothing was appended")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mltrail-appender", daemon=True)
                self._thread.start()
            self._queue.put(_Pending(partition, events, actor, frozen, producer, sequence, loop, future))
        return await future

    def _run(self) -> None:
        is_open = True
        while is_open:
            group, size_bytes = [], 0
            pending = self._queue.get()
            while True:
                if pending is None:
                    is_open = False
                    break
                size_bytes += self._freeze(pending)
                if pending.frozen is not None:
                    group.append(pending)
                if len(group) >= MAX_GROUP_RECORDS or size_bytes >= MAX_GROUP_BYTES:
                    break
                try:
                    pending = self._queue.get_nowait()
                except queue.Empty:
                    break
            if group:
                self._append(group)

    def _freeze(self, pending: _Pending) -> int:
        """Give the record its sequence and bytes, and return how many; a request that can't be frozen is told so."""
        if pending.actor is not None and not pending.future.cancelled():
            sequence = self._sequences[pending.partition] + 1
            record = Record(pending.partition, pending.producer, sequence, pending.actor, pending.events)
            try:
                pending.frozen, pending.sequence = freeze_record(record), sequence
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
                    Written(done, pending.producer, pending.sequence, is_repeated)
                    for done, pending in zip(appended, group, strict=True)
                ])  # fmt: skip
            # Once an outcome was unknown, it stays so through "can't be reached"; the same bytes go out again.
            if time.monotonic() >= give_up:
                return _answer(group, OutcomeUnknown(
                    f"the log did not say within {self._bound_s:g} s whether the append happened; look before repeating"
                ))  # fmt: skip
            time.sleep(_REPEAT_PAUSE_S)


def _answer(group: list[_Pending], outcome: list[Written] | MltrailError) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Written], Written | MltrailError]]] = {}
    for number, pending in enumerate(group):
        answer = outcome[number] if isinstance(outcome, list) else outcome
        by_loop.setdefault(pending.loop, []).append((pending.future, answer))
    for loop, answers in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, answers)


def _resolve(answers: list[tuple[asyncio.Future[Written], Written | MltrailError]]) -> None:
    for future, answer in answers:
        if future.done():
            continue
        if isinstance(answer, Written):
            future.set_result(answer)
        else:
            future.set_exception(answer)
