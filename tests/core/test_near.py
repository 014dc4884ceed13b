"""The channel between an API and the projector near it: what is said arrives, and nobody waits for saying it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from mltrail_core.ids import CONTROL, PARTITIONS
from mltrail_core.near import NearProjector, NearReaders, Progress

_DEADLINE_S = 10.0


@pytest.fixture
def readers() -> Iterator[NearReaders]:
    """The projector's end, before anybody is there."""
    with closing(NearReaders(lambda: None)) as readers:
        yield readers


def _progress(index: int, *, is_clean: bool = True) -> Progress:
    return Progress(dict.fromkeys(PARTITIONS, index - 1), dict.fromkeys(PARTITIONS, index), is_clean)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(_DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.001)


def test_a_word_that_somebody_waits_wakes_the_projector_and_its_progress_is_heard(readers: NearReaders) -> None:
    woken = threading.Event()
    readers = NearReaders(woken.set)
    heard: list[Progress] = []

    async def talk() -> None:
        near = NearProjector()
        near.listen(heard.append)
        ours, theirs = socket.socketpair()
        near.reach(ours)
        readers.add(theirs)
        near.hurry()
        await _until(readers.hurried.is_set)
        for index in (1, 2):
            readers.tell(_progress(index, is_clean=index == 1))
        await _until(lambda: len(heard) == 2)
        near.close()

    with closing(readers):
        asyncio.run(talk())
    assert woken.is_set()
    assert heard == [_progress(1), _progress(2, is_clean=False)]


def test_the_api_notices_that_the_projector_is_gone_and_takes_the_one_that_follows(readers: NearReaders) -> None:
    heard: list[Progress] = []

    async def talk() -> None:
        with closing(NearProjector()) as near:
            near.listen(heard.append)
            ours, theirs = socket.socketpair()
            near.reach(ours)
            near.hurry()
            theirs.close()
            await _until(lambda: not near.is_there)
            near.hurry()  # nobody is there: nothing happens
            ours, theirs = socket.socketpair()
            near.reach(ours)
            readers.add(theirs)
            near.hurry()
            readers.tell(_progress(5))
            await _until(lambda: bool(heard))

    asyncio.run(talk())
    assert heard == [_progress(5)]


def test_a_projector_that_is_replaced_before_anybody_waited_leaves_no_socket_open(readers: NearReaders) -> None:
    near = NearProjector()
    first, its_end = socket.socketpair()
    second, end = socket.socketpair()
    with its_end:
        near.reach(first)
        near.reach(second)
        readers.add(end)
        near.close()
    assert (first.fileno(), second.fileno()) == (-1, -1)


def test_an_api_that_does_not_read_keeps_nobody_and_reads_whole_lines_later(readers: NearReaders) -> None:
    heard: list[Progress] = []

    async def talk() -> None:
        with closing(NearProjector()) as near:
            near.listen(heard.append)
            ours, theirs = socket.socketpair()
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            near.reach(ours)
            readers.add(theirs)
            for index in range(1, 1001):
                readers.tell(_progress(index))
            near.hurry()
            await _until(lambda: bool(heard))

            def is_last() -> bool:
                readers.tell(_progress(2000))
                return heard[-1] == _progress(2000)

            await _until(is_last)

    asyncio.run(talk())
    assert heard[0] == _progress(1)
    assert len(heard) < 1000, "all that was said found room, so this says nothing"


def test_an_api_that_has_ended_is_told_nothing_more(readers: NearReaders) -> None:
    ours, theirs = socket.socketpair()
    readers.add(theirs)
    ours.close()
    for index in range(1, 4):
        readers.tell(_progress(index))


def test_only_a_transaction_that_rejected_nothing_says_that_a_record_was_accepted() -> None:
    wanted = {CONTROL: 5}
    assert _progress(5).has_accepted(wanted)
    assert not _progress(5, is_clean=False).has_accepted(wanted)
    assert not _progress(6).has_accepted(wanted)  # an earlier transaction took it
    assert not _progress(4).has_passed(wanted)
