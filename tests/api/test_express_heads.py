"""Heads of requests that the lane knows: what is left out is parsing, never a judgement."""

from __future__ import annotations

import asyncio

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from mltrail_api.express import Reply
from mltrail_cli.server.express_protocol import ExpressProtocol, protocol_with
from tests.api.running import RunningApi
from tests.api.test_express import POINT, connected, last_record, request, statuses, warm_run


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What uvicorn's parser was given."""
    found: list[bytes] = []
    receive = HttpToolsProtocol.data_received

    def watched(protocol: HttpToolsProtocol, data: bytes) -> None:
        found.append(data)
        receive(protocol, data)

    monkeypatch.setattr(HttpToolsProtocol, "data_received", watched)
    return found


def test_a_head_is_parsed_once_and_each_request_is_judged(
    api: RunningApi, parsed: list[bytes], taken: list[bool]
) -> None:
    run_id, other_id = warm_run(api), warm_run(api)
    point = request("/runs/log-metric", {**POINT, "run_id": run_id})
    with connected(api) as connection:
        taken.clear()
        parsed.clear()
        for sent in (point, point, point.replace(run_id.encode(), other_id.encode())):
            connection.sendall(sent)
            assert statuses(connection, 1) == [200]
        assert parsed == [point]
        connection.sendall(point.replace(run_id.encode(), b"0" * 32))
        assert statuses(connection, 1) == [404]
        connection.sendall(point.replace(b'"step": 3', b'"step": x'))
        assert statuses(connection, 1) == [400]
        assert taken == [True] * 3 + [False] * 2  # the parser, which is asked next, does not offer it again
    assert last_record(api, run_id).sequence >= 2
    assert last_record(api, other_id).sequence >= 2


def test_a_request_in_pieces_and_several_at_once_are_parsed_whatever_head_they_have(
    api: RunningApi, parsed: list[bytes]
) -> None:
    point = request("/runs/log-metric", {**POINT, "run_id": warm_run(api)})
    with connected(api) as connection:
        for sent, count in ((point, 1), (point[:-5], 0), (point[-5:] + point + point, 3), (point, 1)):
            parsed.clear()
            connection.sendall(sent)
            assert statuses(connection, count) == [200] * count
        assert parsed == []  # the last one: nothing of those before it is left over


def test_a_head_is_not_taken_for_another(api: RunningApi, parsed: list[bytes]) -> None:
    run_id = warm_run(api)
    point = request("/runs/log-metric", {**POINT, "run_id": run_id})
    chunked = b"POST /api/2.0/mlflow/runs/log-metric HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = point.partition(b"\r\n\r\n")[2]
    with connected(api) as connection:
        for number in range(2):
            connection.sendall(chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
            assert statuses(connection, 1) == [200]
            connection.sendall(request("/runs/log-metric", {**POINT, "run_id": run_id}, b"X-Mltrail-Actor: eve\r\n"))
            assert statuses(connection, 1) == [200]
            connection.sendall(request("/runs/log-metric", {**POINT, "run_id": run_id, "value": 10.0**number}))
            assert statuses(connection, 1) == [200]
    assert len(parsed) >= 6  # bodies without a length, a head that the lane leaves alone, two lengths


def test_a_connection_is_kept_while_it_is_used_and_closed_when_it_is_idle() -> None:
    asyncio.run(_use_then_idle())


async def _use_then_idle() -> None:
    loop = asyncio.get_running_loop()
    lane = _AlwaysTaken()
    config = uvicorn.Config(_no_app, http=protocol_with(lambda: lane), lifespan="off", log_config=None)  # type: ignore[arg-type, return-value]
    config.timeout_keep_alive = 0.1  # type: ignore[assignment]  # uvicorn only adds it to the time
    config.load()
    transport = _Transport()
    protocol = config.http_protocol_class(config=config, server_state=ServerState(), app_state={})  # type: ignore[call-arg]
    assert isinstance(protocol, ExpressProtocol)
    protocol.connection_made(transport)
    begun = loop.time()
    while loop.time() < begun + 0.3:
        protocol.data_received(request("/runs/log-metric", POINT))
        if lane.waiting:
            await asyncio.sleep(0.15 if loop.time() > begun + 0.1 else 0.01)  # longer than an idle connection lives
        lane.answer()
    answered = loop.time()
    assert not transport.is_closing()
    assert transport.written.count(b"HTTP/1.1 200 OK") == lane.taken > 2
    while not transport.is_closing():
        assert loop.time() < answered + 10
        await asyncio.sleep(0.01)
    assert loop.time() >= answered + 0.09


async def _no_app(scope: object, receive: object, send: object) -> None:
    raise AssertionError("the lane takes every request")


class _AlwaysTaken:
    """A lane that takes what it is taken, and answers when it is told to."""

    def __init__(self) -> None:
        self.taken = 0
        self.waiting: list[Reply] = []

    def may_take(self, url: bytes) -> bool:
        return True

    def take(self, url: bytes, scope: object, body: bytes, reply: Reply) -> bool:
        self.taken += 1
        self.waiting.append(reply)
        return True

    def answer(self) -> None:
        self.waiting.pop()(200, b"{}", {})


class _Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self._is_closing = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True

    def resume_reading(self) -> None:
        """Nothing is read here."""
