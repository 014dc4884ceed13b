"""Appending to a folder from within the event loop: at once where that takes a moment, by the thread where it may take
longer."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from mltrail_api.appender import Appender
from mltrail_core.errors import LogFull, OutcomeUnknown
from mltrail_core.ids import PARTITIONS
from mltrail_core.log import Appended, NewRecord, open_log
from mltrail_core.log.sqlite import SqliteLog
from mltrail_core.log.sqlite_flock import WritersQueue
from tests.api.appending import PARTITION, append, begin, held, run, until
from tests.contracts.log_writers import new_record


class WatchedLog(SqliteLog):
    """Counts the appends that wait, as a thread does them."""

    waited = 0

    def append(self, records: Sequence[NewRecord]) -> list[Appended]:
        self.waited += 1
        return super().append(records)


@pytest.fixture(autouse=True)
def _disk_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a disk that is slow at the moment sends appends by the thread."""
    monkeypatch.setattr("mltrail_core.log.sqlite_line.SLOW_APPEND_S", 3600.0)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[WatchedLog]:
    log = WatchedLog.open(tmp_path / "log")
    assert isinstance(log, WatchedLog)
    yield log
    log.close()


@pytest.fixture
def appender(log: WatchedLog) -> Iterator[Appender]:
    appender = Appender(log)
    yield appender
    appender.close()


async def warm(appender: Appender, log: WatchedLog) -> None:
    """Append until the event loop does it itself, in the partition of the tests too."""
    await append(appender, "warm")
    await begin(appender, log)
    waited = log.waited
    while True:
        await append(appender, "warm")
        if log.waited == waited:
            return
        waited = log.waited


def places(log: WatchedLog) -> list[tuple[int, int, str]]:
    """Index, sequence and tag of what the partition holds, without what was there before the test."""
    return [each for each in held(log) if each[2] != "warm"]


def test_the_event_loop_appends_what_comes_together_as_it_came(log: WatchedLog, appender: Appender) -> None:
    async def work() -> None:
        for partition in PARTITIONS[:4]:
            await append(appender, "begin", partition)
        await begin(appender, log)
        waited = log.waited
        written = []
        for batch in range(20):  # each as many as a line takes
            numbers = range(30 * batch, 30 * (batch + 1))
            written += await asyncio.gather(*(append(appender, str(n), PARTITIONS[1 + n % 3]) for n in numbers))
        assert log.waited == waited
        numbers = range(600, 900)  # so many have one commit in the thread
        written += await asyncio.gather(*(append(appender, str(n), PARTITIONS[1 + n % 3]) for n in numbers))
        assert log.waited == waited + 1
        assert [each.appended.index for each in written] == [2 + n // 3 for n in range(900)]
        assert not any(each.may_be_twice for each in written)

    run(work())
    for first in range(3):
        expected = [(n + 1, n + 1, str(value)) for n, value in enumerate(range(first, 900, 3), start=1)]
        assert held(log, PARTITIONS[1 + first])[1:] == expected


def test_what_is_large_waits_in_the_thread_and_keeps_its_place(log: WatchedLog, appender: Appender) -> None:
    async def work() -> None:
        await warm(appender, log)
        waited = log.waited
        await asyncio.gather(*(append(appender, value) for value in ("a", "L" * 300_000, "b")))
        assert log.waited > waited
        await begin(appender, log)

    run(work())
    found = places(log)
    assert [value[0] for _, _, value in found] == ["a", "L", "b"]
    assert [sequence - index for index, sequence, _ in found] == [0, 0, 0]


def _queue(folder: Path) -> contextlib.AbstractContextManager[None]:
    """The turn of another writer, who queues."""
    return WritersQueue(folder).turn()


@contextlib.contextmanager
def _transaction(folder: Path) -> Iterator[None]:
    """A write of somebody who does not queue, such as a program that looks into the file."""
    with contextlib.closing(sqlite3.connect(folder / "log.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@pytest.mark.parametrize("writing", [_queue, _transaction])
def test_while_somebody_else_writes_the_event_loop_goes_on_and_the_record_waits(
    log: WatchedLog,
    appender: Appender,
    tmp_path: Path,
    writing: Callable[[Path], contextlib.AbstractContextManager[None]],
) -> None:
    async def work() -> None:
        await warm(appender, log)
        waited = log.waited
        with writing(tmp_path / "log"):
            task = asyncio.create_task(append(appender, "a"))
            await until(lambda: log.waited > waited)
            assert not task.done()
        assert not (await task).may_be_twice
        await begin(appender, log)

    run(work())
    assert [value for _, _, value in places(log)] == ["a"]


def test_when_others_appended_meanwhile_the_next_index_is_taken_after_theirs(
    log: WatchedLog, appender: Appender, tmp_path: Path
) -> None:
    other = open_log(str(tmp_path / "log"))

    async def work() -> None:
        await warm(appender, log)
        [theirs] = other.append([new_record(PARTITION, b"another process")])
        written = await append(appender, "a")
        assert written.appended.index == theirs.index + 1
        assert written.alone_since == written.appended.index
        assert not written.may_be_twice
        await begin(appender, log)

    run(work())
    other.close()


def test_an_append_of_unknown_outcome_goes_out_again_under_its_sequence(
    log: WatchedLog, appender: Appender, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = log._append_at_once

    def append_and_break(records: Sequence[NewRecord], heads: object, *, may_wait: bool) -> list[Appended] | None:
        monkeypatch.setattr(log, "_append_at_once", at_once)
        assert at_once(records, heads, may_wait=may_wait) is not None  # type: ignore[arg-type]
        raise OutcomeUnknown("the disk did not say")

    async def work() -> None:
        await warm(appender, log)
        monkeypatch.setattr(log, "_append_at_once", append_and_break)
        assert (await append(appender, "a")).may_be_twice
        await begin(appender, log)
        assert not (await append(appender, "b")).may_be_twice

    run(work())
    first, again, following = places(log)
    assert (first[1:], following[2]) == (again[1:], "b")
    assert following[1] == first[1] + 1


def test_past_the_low_water_mark_nothing_is_appended_and_no_sequence_lost(
    log: WatchedLog, appender: Appender, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        await warm(appender, log)
        with monkeypatch.context() as patch:
            patch.setattr("mltrail_core.log.disk_room.LOW_WATER_DISK_BYTES", 1 << 60)
            waited = log.waited
            with pytest.raises(LogFull, match="free some space"):
                await append(appender, "lost")
            assert log.waited == waited
        await append(appender, "b")

    run(work())
    [(index, sequence, value)] = places(log)
    assert (index, value) == (sequence, "b")


def test_a_slow_disk_is_waited_for_by_the_thread_until_it_had_time(
    log: WatchedLog, appender: Appender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mltrail_core.log.sqlite_line._REST_S", 60.0)

    async def work() -> None:
        await warm(appender, log)
        with monkeypatch.context() as patch:
            patch.setattr("mltrail_core.log.sqlite_line.SLOW_APPEND_S", 0.0)
            await append(appender, "a")  # which finds that it is slow
        for number in range(3):
            waited = log.waited
            await append(appender, str(number))
            assert log.waited == waited + 1
        monkeypatch.setattr(log._pace, "_quick_again_at_s", 0.0)
        await begin(appender, log)

    run(work())
    assert [value for _, _, value in places(log)] == ["a", "0", "1", "2"]


def test_closing_appends_what_waits(log: WatchedLog, appender: Appender) -> None:
    async def work() -> None:
        await warm(appender, log)
        tasks = [asyncio.create_task(append(appender, str(n))) for n in range(100)]
        await asyncio.sleep(0)
        await asyncio.to_thread(appender.close)
        await asyncio.gather(*tasks)

    run(work())
    assert [value for _, _, value in places(log)] == [str(n) for n in range(100)]
