"""Requests that wait for a near projector: it is woken, lets nothing gather, and says itself how far it is."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mltrail_api import visibility as waiting
from mltrail_api.appender import Appender, Written
from mltrail_api.visibility import Visibility, freshness_of
from mltrail_core.errors import Invalid
from mltrail_core.events import Event, ParamLogged, RunCreated
from mltrail_core.ids import new_run_id, partition_of
from mltrail_core.log import EventLog, open_log
from mltrail_core.log.genesis import ensure_begun
from mltrail_core.near import NearProjector, NearReaders
from mltrail_core.readmodel.store import open_read_model
from mltrail_core.record import Actor
from mltrail_projector import loop as projecting
from mltrail_projector.loop import Projector

RUN = new_run_id()
PARTITION = partition_of(RUN)


@dataclass
class Pair:
    """A projector and what an API has of it."""

    log: EventLog
    visibility: Visibility
    appender: Appender
    near: NearProjector
    readers: NearReaders

    async def append(self, *events: Event) -> Written:
        """Append as the API does."""
        return await self.appender.append(PARTITION, events, Actor("ada"))


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    """A projector in a thread, and an API's waiting, on a folder; nobody finds out anything in time by polling."""
    monkeypatch.setattr(waiting, "_POLL_NEAR_S", 60.0)
    monkeypatch.setattr(waiting, "RUN_BOUND_S", 20.0)
    monkeypatch.setattr("mltrail_core.log.sqlite._POLL_S", 60.0)
    monkeypatch.setattr(projecting, "GATHER_NEAR_S", 60.0)
    with contextlib.ExitStack() as cleanup:
        log = open_log(str(tmp_path / "log"))
        cleanup.callback(log.close)
        ensure_begun(log)
        read_model = open_read_model(str(tmp_path / "read"))
        cleanup.callback(read_model.close)
        near, readers = NearProjector(), NearReaders(log.look_now)
        ours, theirs = socket.socketpair()
        near.reach(ours)
        readers.add(theirs)
        stop = threading.Event()
        thread = threading.Thread(target=Projector(log, read_model, readers).run, args=(stop,))
        thread.start()
        cleanup.callback(readers.close)
        cleanup.callback(thread.join)
        cleanup.callback(log.look_now)
        cleanup.callback(readers.hurried.set)
        cleanup.callback(stop.set)
        visibility, appender = Visibility(log, read_model, near), Appender(log)
        cleanup.callback(visibility.close)
        cleanup.callback(appender.close)
        yield Pair(log, visibility, appender, near, readers)


def _run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(15.0):
            await work()

    asyncio.run(bounded())


def test_whoever_waits_hears_from_the_projector_that_several_records_gathered_for(pair: Pair) -> None:
    async def work() -> None:
        created = RunCreated(1, RUN, "0", "run", "ada", 1)
        written = await pair.append(created)
        assert await pair.visibility.outcome(written)
        for number in range(5):  # several come together, so the projector would let more gather
            await asyncio.gather(*(pair.append(ParamLogged(1, RUN, f"{number} {n}", "v")) for n in range(3)))
            seen = await pair.visibility.read(lambda _: None, freshness_of(RUN))
            assert seen.is_current

    _run(work)


def test_a_rejection_is_told_although_the_projector_says_that_it_passed(pair: Pair) -> None:
    async def work() -> None:
        created = RunCreated(1, RUN, "0", "run", "ada", 1)
        assert await pair.visibility.outcome(await pair.append(created, ParamLogged(1, RUN, "lr", "1")))
        with pytest.raises(Invalid, match="already has the value '1'"):
            await pair.visibility.outcome(await pair.append(ParamLogged(1, RUN, "lr", "2")))
        assert await pair.visibility.outcome(await pair.append(ParamLogged(1, RUN, "lr", "1")))

    _run(work)


def test_who_waits_while_the_channel_breaks_finds_out_by_polling(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_POLL_NEAR_S", 0.05)
    monkeypatch.setattr(projecting, "GATHER_NEAR_S", 0.02)
    monkeypatch.setattr("mltrail_core.log.sqlite._POLL_S", 0.01)

    async def work() -> None:
        assert await pair.visibility.outcome(await pair.append(RunCreated(1, RUN, "0", "run", "ada", 1)))
        pair.readers.close()
        assert await pair.visibility.outcome(await pair.append(ParamLogged(1, RUN, "lr", "1")))
        while pair.near.is_there:
            await asyncio.sleep(0.001)
        assert await pair.visibility.outcome(await pair.append(ParamLogged(1, RUN, "depth", "3")))

    _run(work)
