"""Group commit: what a request is told is what the log holds, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrail_api.appender import Appender
from mltrail_core.errors import Invalid, LogFull, OutcomeUnknown, Unavailable
from mltrail_core.events import TagSet
from mltrail_core.ids import Partition
from mltrail_core.log import open_log
from mltrail_core.record import Actor, decode_record
from tests.api.logs import FaultyLog
from tests.api.running import wait_until

PARTITION = Partition("03")
ADA = Actor("ada")


def tag(value: str) -> TagSet:
    return TagSet(1, "r" * 32, "key", value)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[FaultyLog]:
    inner = open_log(str(tmp_path))
    yield FaultyLog(inner)
    inner.close()


@pytest.fixture
def appender(log: FaultyLog) -> Iterator[Appender]:
    appender = Appender(log, unknown_outcome_bound_s=0.3)
    yield appender
    appender.close()


def held(log: FaultyLog) -> list[tuple[int, int, str]]:
    """Index, sequence and tag of each record in the partition."""
    found = []
    for entry in log.read(PARTITION, after=0):
        record = decode_record(entry.frozen)
        [event] = record.events
        assert isinstance(event, TagSet)
        found.append((entry.index, record.sequence, event.value))
    return found


def test_concurrent_requests_share_a_commit_and_keep_their_order(log: FaultyLog, appender: Appender) -> None:
    async def work() -> None:
        log.may_append.clear()
        first = asyncio.create_task(appender.append(PARTITION, [tag("first")], ADA))
        while not log.groups:
            await asyncio.sleep(0.001)
        others = [asyncio.create_task(appender.append(PARTITION, [tag(str(n))], ADA)) for n in range(50)]
        await asyncio.sleep(0)  # every task has queued its record
        log.may_append.set()
        places = [(await task).appended.index for task in (first, *others)]
        assert places == list(range(1, 52))

    asyncio.run(work())
    assert [len(group) for group in log.groups] == [1, 50]
    assert held(log) == [(n + 1, n + 1, "first" if n == 0 else str(n - 1)) for n in range(51)]


def test_an_append_of_unknown_outcome_goes_out_again_with_the_same_bytes(log: FaultyLog, appender: Appender) -> None:
    log.faults = ["unknown, done", "unknown", "down"]
    written = asyncio.run(appender.append(PARTITION, [tag("a")], ADA))
    assert written.may_be_twice
    assert len({group[0].frozen for group in log.groups}) == 1
    assert len(log.groups) == 4
    assert held(log) == [(1, 1, "a"), (2, 1, "a")]  # one record to the fold: the same producer and sequence


def test_an_outcome_that_stays_unknown_is_said_and_its_sequence_not_used_again(
    log: FaultyLog, appender: Appender
) -> None:
    log.faults = ["unknown, done"] + ["unknown"] * 100
    with pytest.raises(OutcomeUnknown):
        asyncio.run(appender.append(PARTITION, [tag("a")], ADA))
    log.faults = []
    asyncio.run(appender.append(PARTITION, [tag("b")], ADA))
    assert held(log) == [(1, 1, "a"), (2, 2, "b")]


@pytest.mark.parametrize(("fault", "error"), [("full", LogFull), ("down", Unavailable)])
def test_a_refused_append_leaves_nothing_and_no_hole(
    log: FaultyLog, appender: Appender, fault: str, error: type[Exception]
) -> None:
    asyncio.run(appender.append(PARTITION, [tag("a")], ADA))
    log.faults = [fault]
    with pytest.raises(error):
        asyncio.run(appender.append(PARTITION, [tag("lost")], ADA))
    asyncio.run(appender.append(PARTITION, [tag("b")], ADA))
    assert held(log) == [(1, 1, "a"), (2, 2, "b")]


def test_a_record_that_can_not_be_written_is_refused_alone(log: FaultyLog, appender: Appender) -> None:
    async def work() -> list[object]:
        values = ["a", "\ud800", "b", "x" * (9 << 20), "c"]
        tasks = [appender.append(PARTITION, [tag(value)], ADA) for value in values]
        return [type(outcome).__name__ for outcome in await asyncio.gather(*tasks, return_exceptions=True)]

    assert asyncio.run(work()) == ["Written", Invalid.__name__, "Written", Invalid.__name__, "Written"]
    assert held(log) == [(1, 1, "a"), (2, 2, "b"), (3, 3, "c")]


def test_a_request_that_went_away_does_not_hold_up_the_others(log: FaultyLog, appender: Appender) -> None:
    async def work() -> None:
        log.may_append.clear()
        first = asyncio.create_task(appender.append(PARTITION, [tag("a")], ADA))
        while not log.groups:
            await asyncio.sleep(0.001)
        gone = asyncio.create_task(appender.append(PARTITION, [tag("gone")], ADA))
        last = asyncio.create_task(appender.append(PARTITION, [tag("b")], ADA))
        await asyncio.sleep(0)
        gone.cancel()
        log.may_append.set()
        assert (await first).sequence == 1
        assert (await last).sequence == 2

    asyncio.run(work())
    assert held(log) == [(1, 1, "a"), (2, 2, "b")]


def test_closing_appends_what_waits_and_refuses_what_comes_later(log: FaultyLog, appender: Appender) -> None:
    async def work() -> None:
        log.may_append.clear()
        waiting = [asyncio.create_task(appender.append(PARTITION, [tag(str(n))], ADA)) for n in range(3)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(asyncio.to_thread(appender.close))
        await asyncio.sleep(0.01)
        log.may_append.set()
        await closing
        assert [(await task).appended.index for task in waiting] == [1, 2, 3]
        with pytest.raises(Unavailable, match="stopping"):
            await appender.append(PARTITION, [tag("late")], ADA)

    asyncio.run(work())
    wait_until(lambda: len(held(log)) == 3)
