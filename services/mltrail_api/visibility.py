"""Reading one's own writes: a read waits until the projector has passed what the log held when the read arrived.

Reads run in threads of our own, which never end while the server lives: a SQLite log keeps a connection for each thread
that ever read it, so threads that come and go would leave connections behind.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog
from sqlalchemy import Connection, select

from mltrail_api.appender import Written
from mltrail_core.errors import NotFound, Rejected, Unavailable
from mltrail_core.ids import CONTROL, PARTITIONS, Partition, partition_of
from mltrail_core.log import EventLog, Positions
from mltrail_core.near import NearProjector, Progress
from mltrail_core.readmodel.store import ReadModel
from mltrail_core.readmodel.tables import positions, rejections
from mltrail_core.rejection import rejection_error

_logger = structlog.get_logger(__name__)
T = TypeVar("T")

RUN_BOUND_S = 2.0
"""How long a read of one subject, or a write that asks for its own outcome, waits for the projector."""
SEARCH_BOUND_S = 0.25
"""How long a search waits for the projector."""
_POLL_S = 0.002
_POLL_NEAR_S = 0.01
"""While the server's own projector says how far it is: others, halts, and words that got lost are polled for."""
_RECENT, _RECENT_S = 64, 0.1
"""How much of what the projector said counts for one who asks afterwards: a rebuild may give a log that lost its tail
lower positions, so none of it counts for long."""
_READ_THREADS = 16


@dataclass(frozen=True, slots=True)
class Freshness:
    """What a read waits for: these partitions, at most this long. `EVENTUAL` waits for nothing."""

    partitions: Collection[Partition]
    bound_s: float


EVENTUAL = Freshness((), 0.0)
SEARCH = Freshness(PARTITIONS, SEARCH_BOUND_S)
CONTROL_ONLY = Freshness((CONTROL,), RUN_BOUND_S)


def freshness_of(subject: str) -> Freshness:
    """Return what a read of one run or logged model waits for: its partition, and `control` for its experiment."""
    return Freshness((CONTROL, partition_of(subject)), RUN_BOUND_S)


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """What a query found, and whether all that the log held when the read arrived was in what it looked at."""

    value: T
    is_current: bool
    is_behind: bool = False
    """Whether the read asked for the log's state and did not get it: the projector is late, halted or not running."""

    def absence(self, message: str) -> NotFound | Unavailable:
        """Return the error for a value that was not found: nobody is told that a thing does not exist, only because
        the projector has not come to it."""
        if self.is_behind:
            why = "the log holds records that are not projected yet; try again, or see `mltrail log status`"
            return Unavailable(f"{message}; {why}", retry_after_s=1.0)
        return NotFound(message)


@dataclass(frozen=True, slots=True)
class Projected:
    """How far the read model is: the index of each partition, and which partitions are halted."""

    indices: Positions
    halted: Collection[Partition]

    def has_passed(self, wanted: Positions) -> bool:
        """Return whether every partition is at its wanted index or past it."""
        return all(self.indices.get(partition, 0) >= index for partition, index in wanted.items())

    def is_halted_before(self, wanted: Positions) -> bool:
        """Return whether a partition that is not there yet is halted, so that waiting for it is in vain."""
        return any(self.indices.get(name, 0) < index and name in self.halted for name, index in wanted.items())


@dataclass(slots=True, eq=False)
class _Waiter:
    wanted: Positions
    deadline: float
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[bool]


class Visibility:
    """Waits for the projector on behalf of requests: a near one says how far it is; and one thread polls the positions,
    only while somebody waits."""

    def __init__(self, log: EventLog, read_model: ReadModel, near: NearProjector | None = None) -> None:
        self._log = log
        self._read_model = read_model
        self._near = NearProjector() if near is None else near
        self._near.listen(self._told)
        self._recent: deque[tuple[float, Progress]] = deque(maxlen=_RECENT)
        self._threads = ThreadPoolExecutor(_READ_THREADS, thread_name_prefix="mltrail-read")
        self._waiters: list[_Waiter] = []
        self._changed = threading.Condition()
        self._poller: threading.Thread | None = None
        self._is_closed = False

    async def read(self, query: Callable[[Connection], T], freshness: Freshness) -> Seen[T]:
        """Return what `query` finds on one snapshot of the read model, as fresh as asked for.

        Raises:
            Unavailable: the read model can't be reached. (A log that can't be reached only costs freshness.)
        """
        wanted, seen = await self.run(lambda: self._read_at_once(query, freshness.partitions))
        if seen is not None:
            return seen
        is_current = await self.wait_until(wanted, freshness.bound_s)
        return Seen(await self.run(lambda: self._query(query)), is_current, is_behind=not is_current)

    async def run(self, work: Callable[[], T]) -> T:
        """Return what blocking `work` returns, run in a reading thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def wait_until(self, wanted: Positions, timeout_s: float) -> bool:
        """Return True as soon as the projector has passed `wanted`, False when it is halted before or out of time."""
        if self._has_passed_just_now(wanted):
            return True
        loop = asyncio.get_running_loop()
        waiter = _Waiter(wanted, time.monotonic() + timeout_s, loop, loop.create_future())
        with self._changed:
            if self._is_closed:
                return False
            if self._poller is None:
                self._poller = threading.Thread(target=self._poll, name="mltrail-visibility", daemon=True)
                self._poller.start()
            self._waiters.append(waiter)
            self._changed.notify()
        self._near.hurry()
        return await waiter.future

    async def outcome(self, written: Written) -> bool:
        """Return True once the fold has accepted all events of a record, False when it did not decide in time.

        Raises:
            Rejected: the fold rejected an event of the record; the first one, with its reason.
            Unavailable: the read model can't be reached.
        """
        wanted, since = {written.appended.partition: written.appended.index}, time.monotonic() - _RECENT_S
        if not await self.wait_until(wanted, RUN_BOUND_S):
            return False
        if not written.may_be_twice:
            recent = [progress for told, progress in self._recent if told >= since]
            if any(progress.has_accepted(wanted) for progress in recent):
                return True
        error = await self.run(lambda: self._query(lambda connection: _rejection(connection, written)))
        if error is not None:
            raise error
        return True

    def close(self) -> None:
        """End the threads; whoever waits is told that the projector did not get there."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
            poller = self._poller
        if poller is not None:
            poller.join()
        self._near.close()
        self._threads.shutdown()

    def _read_at_once(
        self, query: Callable[[Connection], T], partitions: Collection[Partition]
    ) -> tuple[Positions, Seen[T] | None]:
        """Query in the same transaction that shows the read model to be fresh, or return what has to be waited for."""
        if not partitions:
            return {}, Seen(self._query(query), False)
        try:
            heads = self._log.heads()
        except Unavailable as error:
            _logger.warning("read without the log", action="heads_unknown", error=str(error))
            return {}, Seen(self._query(query), False, is_behind=True)
        wanted = {partition: heads.get(partition, 0) for partition in partitions}
        with self._read_model.reading() as connection:
            projected = projected_positions(connection)
            if projected.has_passed(wanted):
                return wanted, Seen(query(connection), True)
            if projected.is_halted_before(wanted):
                return wanted, Seen(query(connection), False, is_behind=True)
        return wanted, None

    def _query(self, query: Callable[[Connection], T]) -> T:
        with self._read_model.reading() as connection:
            return query(connection)

    def _told(self, progress: Progress) -> None:
        self._recent.append((time.monotonic(), progress))
        with self._changed:
            passed = [waiter for waiter in self._waiters if progress.has_passed(waiter.wanted)]
        for waiter in passed:
            self._tell(waiter, True)

    def _has_passed_just_now(self, wanted: Positions) -> bool:
        """Return whether the projector said so while the request was on its way here."""
        since = time.monotonic() - _RECENT_S
        return any(told >= since and progress.has_passed(wanted) for told, progress in self._recent)

    def _poll(self) -> None:
        while True:
            with self._changed:
                while not self._waiters and not self._is_closed:
                    self._changed.wait()
                if self._near.is_there:
                    self._changed.wait_for(lambda: self._is_closed, _POLL_NEAR_S)
                waiters, is_closed = list(self._waiters), self._is_closed
            if not waiters and not is_closed:
                continue
            projected = Projected({}, ()) if is_closed else self._projected()
            now = time.monotonic()
            for waiter in waiters:
                if projected is not None and projected.has_passed(waiter.wanted):
                    self._tell(waiter, True)
                elif is_closed or now >= waiter.deadline or (projected and projected.is_halted_before(waiter.wanted)):
                    self._tell(waiter, False)
            if is_closed:
                return
            if not self._near.is_there:
                time.sleep(_POLL_S)

    def _projected(self) -> Projected | None:
        try:
            return self._query(projected_positions)
        except Unavailable as error:
            _logger.warning("positions can't be read", action="positions_unknown", error=str(error))
            time.sleep(_POLL_S * 10)
            return None

    def _tell(self, waiter: _Waiter, has_passed: bool) -> None:
        with self._changed:
            if waiter not in self._waiters:
                return  # told already
            self._waiters.remove(waiter)
        if not waiter.loop.is_closed():
            waiter.loop.call_soon_threadsafe(_resolve, waiter.future, has_passed)


def projected_positions(connection: Connection) -> Projected:
    """Return how far the read model of `connection` is."""
    rows = connection.execute(_POSITIONS).all()
    return Projected(
        {Partition(name): index for name, index, _ in rows},
        {Partition(name) for name, _, halted in rows if halted is not None},
    )


_POSITIONS = select(positions.c.partition, positions.c["index"], positions.c.halted)


def _rejection(connection: Connection, written: Written) -> Rejected | None:
    place = written.appended
    where = rejections.c["index"] == place.index
    if written.may_be_twice:
        # The fold judged the first of the equal records; this index may be that of the one it dropped.
        where = (rejections.c.producer == written.producer) & (rejections.c.sequence == written.sequence)
    row = connection.execute(
        select(rejections.c.reason, rejections.c.message)
        .where(rejections.c.partition == place.partition, where)
        .order_by(rejections.c["index"], rejections.c.number)
        .limit(1)
    ).first()
    if row is None:
        return None
    reason, message = row
    return rejection_error(reason, message)


def _resolve(future: asyncio.Future[bool], has_passed: bool) -> None:
    if not future.done():
        future.set_result(has_passed)
