"""uvicorn's protocol of one connection, with a lane beside ASGI for requests that come by the thousand.

A request that the lane may take is held until it is whole. What the lane then takes is answered by one write, with no
task, no messages and no scope handed on; what it does not take goes to uvicorn as if it had come just now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

if TYPE_CHECKING:
    from mltrail_api.express import Express

MAX_HELD_BYTES = 1 << 20
"""A body that is longer is not held, but read by ASGI as it comes; a `log-batch` of 1,000 points is about 100 KB."""


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
        lines = [STATUS_LINE[status]]
        for name, value in self._protocol.server_state.default_headers:
            lines += (name, b": ", value, b"\r\n")
        for text, line in headers.items():
            lines += (text.lower().encode(), b": ", line.encode("latin-1"), b"\r\n")
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        transport = self._protocol.transport
        transport.write(b"".join(lines))
        if not self.keep_alive:
            transport.close()
        self._protocol.on_response_complete()


class ExpressProtocol(HttpToolsProtocol):
    """See the module; made by `protocol_with`."""

    _held: _Held | None = None

    def lane(self) -> Express | None:
        """Return the lane, once it is loaded."""
        return None

    def on_headers_complete(self) -> None:
        """Hold the request when the lane may take it and none is under way before it."""
        lane = self.lane()
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
        held, lane = self._held, self.lane()
        if held is None:
            return super().on_message_complete()
        body = held.body[0] if len(held.body) == 1 else b"".join(held.body)
        if lane is not None and lane.take(self.url, self.scope, body, held.reply):  # type: ignore[arg-type]
            self._held = None
            return
        self._go_the_long_way(held)
        super().on_message_complete()

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
        def lane(self) -> Express | None:
            return express()

    return WithLane
