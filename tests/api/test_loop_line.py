"""Appending to Redis from within the event loop: what a request is told is what the log holds, whatever happens to the
line."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import redis

from mltrail_api.appender import Appender, Written
from mltrail_core.errors import LogFull, OutcomeUnknown, Unavailable
from mltrail_core.ids import PARTITIONS
from mltrail_core.log import Appended, NewRecord
from mltrail_core.log.redis import RedisLog
from tests import servers
from tests.api.appending import append, begin, held, is_under_way, run, until


class WatchedLog(RedisLog):
    """Counts the appends that wait, as a thread does them."""

    waited = 0

    def append(self, records: Sequence[NewRecord]) -> list[Appended]:
        self.waited += 1
        return super().append(records)

    def forget_state(self) -> None:
        """Have the server asked how it is before the next append."""
        self._server.asked_at_s = -math.inf


@pytest.fixture(autouse=True)
def _state_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a second that passes sends an append by the thread."""
    monkeypatch.setattr("mltrail_core.log.redis_line.STATE_MAX_AGE_S", 3600.0)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with contextlib.closing(redis.Redis.from_url(redis_url)) as client:
        yield client


@pytest.fixture
def log(redis_url: str) -> Iterator[WatchedLog]:
    log = WatchedLog.open(redis_url)
    assert isinstance(log, WatchedLog)
    yield log
    log.close()


@pytest.fixture
def appender(log: WatchedLog) -> Iterator[Appender]:
    appender = Appender(log)
    yield appender
    appender.close()


def test_the_event_loop_appends_what_comes_together_as_it_came(log: WatchedLog, appender: Appender) -> None:
    async def work() -> None:
        await begin(appender, log)
        waited = log.waited
        many = [append(appender, str(n), PARTITIONS[1 + n % 3]) for n in range(600)]
        written = await asyncio.gather(*many)
        assert [each.appended.index for each in written] == [1 + n // 3 for n in range(600)]
        assert {(each.may_be_twice, each.alone_since) for each in written} == {(False, 1)}
        assert log.waited == waited

    run(work())
    for first in range(3):
        values = [str(n) for n in range(first, 600, 3)]
        assert held(log, PARTITIONS[1 + first]) == [(n, n, value) for n, value in enumerate(values, start=1)]


def test_what_is_large_or_comes_after_a_second_waits_in_the_thread_and_keeps_its_place(
    log: WatchedLog, appender: Appender
) -> None:
    async def work() -> None:
        await begin(appender, log)
        waited = log.waited
        await asyncio.gather(*(append(appender, value) for value in ("a", "L" * 300_000, "b")))
        assert log.waited > waited
        await begin(appender, log)
        log.forget_state()
        waited = log.waited
        await append(appender, "c")
        assert log.waited == waited + 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mltrail_core.log.redis_line.STATE_MAX_AGE_S", 60.0)
        patch.setattr("mltrail_core.log.redis.STATE_MAX_AGE_S", 60.0)
        run(work())
    assert [(index, sequence, value[0]) for index, sequence, value in held(log)] == [
        (1, 1, "a"), (2, 2, "L"), (3, 3, "b"), (4, 4, "c"),
    ]  # fmt: skip


def test_an_append_whose_connection_broke_goes_out_again_under_its_sequence(
    log: WatchedLog, appender: Appender, client: redis.Redis
) -> None:
    async def work() -> None:
        await begin(appender, log)
        client.client_pause(30_000, all=False)
        task = asyncio.create_task(append(appender, "a"))
        await until(lambda: is_under_way(appender))
        client.client_kill_filter(_type="normal", skipme=True)
        client.client_unpause()
        assert (await task).may_be_twice
        await begin(appender, log)
        assert not (await append(appender, "b")).may_be_twice

    run(work())
    assert {(sequence, value) for _, sequence, value in held(log)} == {(1, "a"), (2, "b")}


def test_a_server_that_forgot_the_script_is_told_it_again(
    log: WatchedLog, appender: Appender, client: redis.Redis
) -> None:
    async def work() -> None:
        await begin(appender, log)
        client.script_flush()
        assert not (await append(appender, "a")).may_be_twice
        await begin(appender, log)

    run(work())
    assert held(log) == [(1, 1, "a")]


def test_past_the_low_water_mark_nothing_is_appended_and_no_sequence_lost(
    log: WatchedLog, appender: Appender, client: redis.Redis
) -> None:
    async def work() -> None:
        await begin(appender, log)
        await append(appender, "a")
        client.config_set("maxmemory", int(client.info("memory")["used_memory"]))
        log.forget_state()
        waited = log.waited
        for _ in range(3):  # first by the thread, which asks the server, then by the line, which knows by that
            with pytest.raises(LogFull, match="raise maxmemory"):
                await append(appender, "lost")
        assert log.waited < waited + 3
        client.config_set("maxmemory", 0)
        log.forget_state()
        await append(appender, "b")

    try:
        run(work())
    finally:
        client.config_set("maxmemory", 0)
    assert held(log) == [(1, 1, "a"), (2, 2, "b")]


def test_closing_waits_for_what_is_under_way(log: WatchedLog, appender: Appender, client: redis.Redis) -> None:
    async def work() -> None:
        await begin(appender, log)
        client.client_pause(30_000, all=False)
        tasks = [asyncio.create_task(append(appender, "a"))]
        await until(lambda: is_under_way(appender))
        tasks.append(asyncio.create_task(append(appender, "b")))
        await asyncio.sleep(0)
        closing = asyncio.create_task(asyncio.to_thread(appender.close))
        await asyncio.sleep(0.01)
        client.client_unpause()
        assert [(await task).appended.index for task in tasks] == [1, 2]
        await closing
        with pytest.raises(Unavailable, match="stopping"):
            await append(appender, "late")

    run(work())
    assert held(log) == [(1, 1, "a"), (2, 2, "b")]


def test_a_server_that_is_silent_is_waited_for_by_the_thread(
    log: WatchedLog, appender: Appender, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mltrail_api.loop_line.PATIENCE_S", 0.02)

    async def work() -> None:
        await begin(appender, log)
        client.client_pause(30_000, all=False)
        task = asyncio.create_task(append(appender, "a"))
        await until(lambda: appender._by is None)
        client.client_unpause()
        assert not (await task).may_be_twice
        await begin(appender, log)

    run(work())
    assert held(log) == [(1, 1, "a")]


def test_one_appender_serves_one_event_loop_after_the_other_and_two_at_once(
    log: WatchedLog, appender: Appender
) -> None:
    async def work(name: str) -> None:
        if name in "ab":
            await begin(appender, log)
        for n in range(30):
            await append(appender, f"{name}{n}")

    run(work("a"))
    run(work("b"))
    threads = [threading.Thread(target=run, args=(work(name),)) for name in "cd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    found = held(log)
    assert [sequence for _, sequence, _ in found] == list(range(1, 121))
    for name in "abcd":
        assert [value for _, _, value in found if value[0] == name] == [f"{name}{n}" for n in range(30)]


def test_what_was_acknowledged_survives_sigkill_of_the_server_in_the_middle(tmp_path: Path) -> None:
    with servers.valkey(tmp_path, appendfsync="always") as server:
        log = WatchedLog.open(server.url)
        assert isinstance(log, WatchedLog)
        appender = Appender(log, unknown_outcome_bound_s=20.0)
        acknowledged: dict[str, Written] = {}
        killed = asyncio.Event()

        async def write(writer: int) -> None:
            for n in range(100_000):
                if killed.is_set() and n % 10 == 0:
                    return
                acknowledged[f"{writer}-{n}"] = await append_at_last(f"{writer}-{n}")

        async def append_at_last(value: str) -> Written:
            while True:
                try:
                    return await append(appender, value)
                except OutcomeUnknown:
                    raise
                except Unavailable:  # nothing was under way when the server ended, and nothing was appended
                    await asyncio.sleep(0.01)

        async def work() -> None:
            await begin(appender, log)
            waited = log.waited
            writers = [asyncio.create_task(write(n)) for n in range(8)]
            await until(lambda: len(acknowledged) > 200)
            assert log.waited == waited
            await asyncio.to_thread(server.kill)
            killed.set()
            await asyncio.to_thread(server.start)
            await asyncio.gather(*writers)
            await asyncio.to_thread(appender.close)

        run(work())
        found = held(log)
        places = {index: (sequence, value) for index, sequence, value in found}
        assert {value: places[each.appended.index] for value, each in acknowledged.items()} == {
            value: (each.sequence, value) for value, each in acknowledged.items()
        }
        assert {sequence for _, sequence, _ in found} == set(range(1, len(acknowledged) + 1))
        log.close()
