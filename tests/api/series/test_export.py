"""Exports hold a transaction each, so only a few run at a time, and a reader that takes nothing is given up."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection
from starlette.requests import ClientDisconnect
from starlette.types import Message

from mltrail_api.series import export
from mltrail_api.series.export import MAX_EXPORTS, Exports
from mltrail_core.errors import Unavailable
from tests.api.running import RunningApi

_SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": []}


@pytest.fixture
def exports(api: RunningApi) -> Exports:
    return Exports(api.read_model, api.services.visibility)


def three_parts(connection: Connection) -> Iterator[bytes]:
    assert not connection.closed
    yield from (b"a", b"b", b"c")


async def stay() -> Message:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


def test_one_more_than_can_run_is_told_to_try_again(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_SLOT_TIMEOUT_S", 0.02)

    async def scene() -> None:
        async with contextlib.AsyncExitStack() as held:
            for _ in range(MAX_EXPORTS):
                parts = await held.enter_async_context(exports.begun(three_parts))
                assert await exports.next_part(parts) == b"a"
            assert exports.running == MAX_EXPORTS
            with pytest.raises(Unavailable, match="4 exports are running here") as told:
                await exports.response(three_parts, "text/plain", {})(_SCOPE, stay, refuse)
            assert told.value.retry_after_s == 5
        assert exports.running == 0
        async with exports.begun(three_parts) as parts:
            assert [await exports.next_part(parts) for _ in range(4)] == [b"a", b"b", b"c", None]

    async def refuse(message: Message) -> None:
        raise AssertionError(f"sent {message}")

    asyncio.run(scene())


def test_a_reader_that_takes_nothing_is_given_up(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_SEND_TIMEOUT_S", 0.02)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    with pytest.raises(ClientDisconnect):
        asyncio.run(exports.response(three_parts, "text/plain", {})(_SCOPE, stay, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert exports.running == 0


def test_a_request_that_is_cancelled_in_the_middle_of_a_part_ends_its_transaction_after_it(exports: Exports) -> None:
    ended: list[str] = []

    def slow(connection: Connection) -> Iterator[bytes]:
        begun.set()
        while not go_on.is_set():
            connection.exec_driver_sql("SELECT 1")
        ended.append("part")
        yield b"a"

    async def scene() -> None:
        task = asyncio.ensure_future(exports.response(slow, "text/plain", {})(_SCOPE, stay, send))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["part"]
        assert exports.running == 0

    async def send(message: Message) -> None:
        raise AssertionError(f"sent {message}")

    begun, go_on = threading.Event(), threading.Event()
    asyncio.run(scene())
