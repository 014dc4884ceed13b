"""uvicorn's protocol of one connection, with a lane beside ASGI for requests that come by the thousand.

A request that the lane may take is held until it is whole. What the lane then takes is answered by one write, with no
task, no messages and no scope handed on; what it does not take goes to uvicorn as if it had come just now.

A client sends the same head again and again. One that the lane took is remembered byte by byte, with what the parser
made of it, for as long as its connection lives: of the next request with this head nothing is left to parse.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

if TYPE_CHECKING:
    from starlette.types import Scope

    from mltrail_api.express import Express

MAX_HELD_BYTES = 1 << 20
"""A body that is longer is not held, but read by ASGI as it comes; a `log-batch` of 1,000 points is about 100 KB."""
_MAX_HEADS = 16
"""So many are remembered of a connection: heads of one client differ in the length of the body at most."""
_SHORT_BODY = 2
"""Answers that say no more than {} are all alike."""
_HEAD_END: Final = b"\r\n\r\n"
_NO_HEADERS: Final[list[tuple[bytes, bytes]]] = []


@dataclass(frozen=True, slots=True)
class _Head:
    """What the parser made of a head whose request the lane took."""

    url: bytes
    scope: Scope
    body_bytes: int


@dataclass(slots=True)
class _Answers:
    """The bytes of answers that are all alike, until the headers that all answers have change, as each second."""

    default_headers: list[tuple[bytes, bytes]]
    by_body: dict[bytes, bytes]

    def of(self, body: bytes, default_headers: list[tuple[bytes, bytes]]) -> bytes:
        if default_headers is not self.default_headers:
            self.default_headers, self.by_body = default_headers, {}
        answer = self.by_body.get(body)
        if answer is None:
            answer = self.by_body[body] = _answer(200, body, {}, default_headers, keep_alive=True)
        return answer


class _Held:
    """A request under way in the lane. It stands where uvicorn keeps the cycle of a request, and has what uvicorn asks
    of one: whether it is answered, whether the connection lives on, and who is to be told that the client is gone."""

    def __init__(self, protocol: ExpressProtocol, keep_alive: bool) -> None:
        self.before: RequestResponseCycle | None = protocol.cycle
        self.body: list[bytes] = []
        self.size_bytes = 0
        self.keep_alive = keep_alive
        self.response_complete = False
        self.disconnected = False
        self.message_event = self
        self._protocol = protocol

    def set(self) -> None:
        """Do nothing: nobody sleeps until the client sends more."""

    def reply(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Answer the request, unless nobody is there any more."""
        self.response_complete = True
        if self.disconnected:
            return
        protocol = self._protocol
        default_headers = protocol.server_state.default_headers
        if status == 200 and self.keep_alive and not headers and len(body) <= _SHORT_BODY:
            answer = protocol.answers.of(body, default_headers)
        else:
            answer = _answer(status, body, headers, default_headers, keep_alive=self.keep_alive)
        transport = protocol.transport
        transport.write(answer)
        if not self.keep_alive:
            transport.close()
        protocol.on_held_answered()


class ExpressProtocol(HttpToolsProtocol):
    """See the module; made by `protocol_with`."""

    answers = _Answers(_NO_HEADERS, {})
    _held: _Held | None = None
    _is_amid_message = False
    _is_refused = False
    """Whether the lane did not take what the parser is about to be fed."""
    _unparsed: bytes | None = None
    """What the parser is being fed, when it began with a new message."""
    _answered_at = 0.0

    def lane(self) -> Express | None:
        """Return the lane, once it is loaded."""
        return None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin with no head remembered."""
        super().connection_made(transport)
        self._heads: dict[bytes, _Head] = {}

    def data_received(self, data: bytes) -> None:
        """Offer a request whose head is known to the lane, else let it be parsed."""
        self._unparsed = None
        if not self._is_amid_message:
            if self._heads and (self.cycle is None or self.cycle.response_complete):
                end = data.find(_HEAD_END) + len(_HEAD_END)
                head = self._heads.get(data[:end])
                if head is not None and head.body_bytes == len(data) - end and not self.transport.is_closing():
                    if self._takes(head, data[end:]):
                        return
                    self._is_refused = True
            self._unparsed = data
        super().data_received(data)

    def _takes(self, head: _Head, body: bytes) -> bool:
        lane, before = self.lane(), self.cycle
        if lane is None:
            return False
        held = _Held(self, keep_alive=True)
        self.cycle = held  # type: ignore[assignment]  # see `_Held`
        if lane.take(head.url, head.scope, body, held.reply):
            return True
        self.cycle = before
        return False

    def on_message_begin(self) -> None:
        """Take note, besides what uvicorn does."""
        self._is_amid_message = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Hold the request when the lane may take it and none is under way before it."""
        lane = None if self._is_refused else self.lane()
        self._is_refused = False
        is_free = self.cycle is None or self.cycle.response_complete
        if lane is None or not is_free or self.expect_100_continue or not lane.may_take(self.url):
            return super().on_headers_complete()
        if self.parser.get_method() != b"POST" or self.parser.should_upgrade():
            return super().on_headers_complete()
        self.scope["method"] = "POST"
        self._held = _Held(self, self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive())
        self.cycle = self._held  # type: ignore[assignment]  # see `_Held`

    def on_body(self, body: bytes) -> None:
        """Keep a part of the request that is held."""
        held = self._held
        if held is None:
            return super().on_body(body)
        held.body.append(body)
        held.size_bytes += len(body)
        if held.size_bytes > MAX_HELD_BYTES:
            self._go_the_long_way(held)

    def on_message_complete(self) -> None:
        """Offer the request that is held to the lane."""
        self._is_amid_message = False
        held, lane = self._held, self.lane()
        if held is None:
            return super().on_message_complete()
        body = held.body[0] if len(held.body) == 1 else b"".join(held.body)
        if lane is not None and lane.take(self.url, self.scope, body, held.reply):  # type: ignore[arg-type]
            self._held = None
            if held.keep_alive:
                self._remember(body)
            return
        self._go_the_long_way(held)
        super().on_message_complete()

    def on_held_answered(self) -> None:
        """Do what uvicorn does after an answer; its timer, if it runs, is left to find out that it is too early."""
        self._answered_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            return self.on_response_complete()
        self.server_state.total_requests += 1

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection when it was idle for as long as uvicorn allows."""
        left_s = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if self.cycle is not None and not self.cycle.response_complete:
            left_s = float(self.timeout_keep_alive)
        if left_s <= 0:
            return super().timeout_keep_alive_handler()
        self.timeout_keep_alive_task = self.loop.call_later(left_s, self.timeout_keep_alive_handler)

    def _remember(self, body: bytes) -> None:
        """Remember the head of the request that was just taken, when it came in one piece and alone."""
        data = self._unparsed
        if data is None or not data.endswith(body):
            return
        head = data[: len(data) - len(body)]
        lengths = [value for name, value in self.headers if name == b"content-length"]
        if head.find(_HEAD_END) != len(head) - len(_HEAD_END) or not head.startswith(b"POST "):
            return
        if lengths != [b"%d" % len(body)] or any(name == b"transfer-encoding" for name, _ in self.headers):
            return
        if len(self._heads) >= _MAX_HEADS:
            self._heads.clear()
        self._heads[head] = _Head(self.url, self.scope, len(body))  # type: ignore[arg-type]  # uvicorn's TypedDict

    def _go_the_long_way(self, held: _Held) -> None:
        self._held = None
        self.cycle = held.before  # type: ignore[assignment]  # None before the first request, as uvicorn has it
        super().on_headers_complete()
        if not held.keep_alive:
            self.cycle.keep_alive = False  # the server began to stop while the request was held
        for part in held.body:
            super().on_body(part)


def protocol_with(express: Callable[[], Express | None]) -> type[ExpressProtocol]:
    """Return the protocol's class for uvicorn, with the lane that `express` gives once it is loaded."""

    class WithLane(ExpressProtocol):
        answers = _Answers(_NO_HEADERS, {})

        def lane(self) -> Express | None:
            return express()

    return WithLane


def _answer(
    status: int,
    body: bytes,
    headers: Mapping[str, str],
    default_headers: list[tuple[bytes, bytes]],
    *,
    keep_alive: bool,
) -> bytes:
    lines = [STATUS_LINE[status]]
    for name, value in default_headers:
        lines += (name, b": ", value, b"\r\n")
    for text, line in headers.items():
        lines += (text.lower().encode(), b": ", line.encode("latin-1"), b"\r\n")
    if not keep_alive:
        lines.append(b"connection: close\r\n")
    lines.append(b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    return b"".join(lines)
