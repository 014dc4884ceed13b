"""Records on their way into the log together: what the appender, and its line in an event loop, hand to each other."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from mltrail_core.errors import MltrailError
from mltrail_core.events import Event
from mltrail_core.ids import Partition, ProducerId
from mltrail_core.log import Appended, NewRecord
from mltrail_core.record import Actor, FrozenRecord, Record, SinglePoint, freeze_point, freeze_record


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
class Pending:
    """One request's record on its way; `frozen` is None until it is given a sequence."""

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


Group = Sequence[Pending]
"""Frozen, in the order of their sequences."""


class Sequencer:
    """Gives records the sequences of one producer. Used by whoever appends the next group, one at a time."""

    def __init__(self) -> None:
        self._sequences: Counter[Partition] = Counter()
        self._alone: dict[Partition, tuple[int, int]] = {}
        """The first and last index of the latest records of each partition that follow one another and are all ours."""

    def next_group(self, waiting: deque[Pending], *, max_records: int, max_bytes: int) -> Group:
        """Take the next records from those that wait, and freeze them; who sent what can't be frozen is told so."""
        group: list[Pending] = []
        size_bytes = 0
        while waiting and len(group) < max_records and size_bytes < max_bytes:
            pending = waiting.popleft()
            size_bytes += self._freeze(pending)
            if pending.frozen is not None:
                group.append(pending)
        return group

    def free(self, group: Group) -> None:
        """Take back the sequences of the last group: nothing of it was appended, so they leave no hole."""
        self._sequences.subtract(pending.partition for pending in group if pending.actor is not None)

    def written(self, group: Group, appended: Sequence[Appended], *, is_repeated: bool) -> list[Written]:
        """Return what those who wait for the group are told."""
        return [
            Written(done, pending.producer, pending.sequence, is_repeated, self._alone_since(done, pending))
            for done, pending in zip(appended, group, strict=True)
        ]

    def _freeze(self, pending: Pending) -> int:
        """Give the record its sequence and bytes, and return how many."""
        if pending.actor is not None and not (pending.is_gone is not None and pending.is_gone()):
            sequence = self._sequences[pending.partition] + 1
            try:
                pending.frozen, pending.sequence = _frozen(pending, sequence, pending.actor), sequence
            except MltrailError as error:
                answer([pending], error)
                return 0
            self._sequences[pending.partition] = sequence
        return 0 if pending.frozen is None else len(pending.frozen)

    def _alone_since(self, done: Appended, pending: Pending) -> int:
        first, last = self._alone.get(done.partition, (0, -1))
        if pending.actor is None:  # a record that another producer froze
            first = done.index + 1
        elif done.index != last + 1:
            first = done.index
        self._alone[done.partition] = (first, done.index)
        return first


def records_of(group: Group) -> list[NewRecord]:
    """Return what the log is given."""
    return [NewRecord(pending.partition, pending.frozen) for pending in group if pending.frozen is not None]


def answer(
    group: Group, outcome: list[Written] | MltrailError, *, here: asyncio.AbstractEventLoop | None = None
) -> None:
    """Tell all of a group what became of their records, each in its event loop: at once in the one that is `here`."""
    by_loop: dict[asyncio.AbstractEventLoop, deque[tuple[Done, Outcome]]] = {}
    for number, pending in enumerate(group):
        of_this = outcome[number] if isinstance(outcome, list) else outcome
        by_loop.setdefault(pending.loop, deque()).append((pending.done, of_this))
    for loop, answers in by_loop.items():
        if loop is here:
            _tell(answers)
        elif not loop.is_closed():
            loop.call_soon_threadsafe(_tell, answers)


def resolving(future: asyncio.Future[Written]) -> Done:
    """Return what gives the future its outcome, unless nobody waits for it any more."""
    return partial(_resolve, future)


def _frozen(pending: Pending, sequence: int, actor: Actor) -> FrozenRecord:
    events = pending.events
    if isinstance(events, SinglePoint):
        return freeze_point(pending.partition, pending.producer, sequence, actor, events)
    return freeze_record(Record(pending.partition, pending.producer, sequence, actor, tuple(events)))


def _tell(answers: deque[tuple[Done, Outcome]]) -> None:
    try:
        while answers:
            done, outcome = answers.popleft()
            done(outcome)
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
