"""Answers that are made while they are sent: in one read transaction, and never more memory than a few parts.

A reader that is slow, or gone, must not keep a transaction open for ever (PostgreSQL could not clean up behind it), nor
may many readers use up the connections that short reads need. So a part has to be taken within a minute, and only a
few exports run at a time in one API worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

import structlog
from sqlalchemy import Connection
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mltrail_api.visibility import Visibility
from mltrail_core.errors import Unavailable
from mltrail_core.readmodel.store import ReadModel

MAX_EXPORTS = 4
"""At a time in one API worker: a quarter of the connections that a read model keeps."""
_SLOT_TIMEOUT_S = 10.0
_SEND_TIMEOUT_S = 60.0

_logger = structlog.get_logger(__name__)
Content = Callable[[Connection], Iterator[bytes]]


class Exports:
    """The exports of one API worker."""

    def __init__(self, read_model: ReadModel, visibility: Visibility) -> None:
        self._read_model = read_model
        self._visibility = visibility
        self._slots = asyncio.Semaphore(MAX_EXPORTS)
        self.running = 0
        """How many hold a transaction now."""

    def response(self, content: Content, media_type: str, headers: Mapping[str, str]) -> Response:
        """Return the answer whose body is what `content` yields; `content` is called when the answer begins.

        Sending it raises Unavailable, before anything is sent, when too many exports run.
        """
        return _Export(self, content, media_type, headers)

    @contextlib.asynccontextmanager
    async def begun(self, content: Content) -> AsyncIterator[_Parts]:
        """Give the parts of one export, in a transaction of its own that ends with the block."""
        try:
            await asyncio.wait_for(self._slots.acquire(), _SLOT_TIMEOUT_S)
        except TimeoutError:
            raise Unavailable(
                f"{MAX_EXPORTS} exports are running here, and none ended within {_SLOT_TIMEOUT_S:g} s; try again, "
                "or ask for fewer points with `points=`",
                retry_after_s=5.0,
            ) from None
        self.running += 1
        parts = _Parts(self._read_model, content)
        try:
            yield parts
        finally:
            try:
                await self._visibility.run(parts.close)
            finally:
                self.running -= 1
                self._slots.release()

    async def next_part(self, parts: _Parts) -> bytes | None:
        """Return the next part, made in a reading thread; None at the end."""
        return await self._visibility.run(parts.next)


class _Parts:
    """The parts of one export, each made by whatever thread asks. A lock, since a request that is given up leaves its
    thread in the middle of a part, and only then may the transaction end."""

    def __init__(self, read_model: ReadModel, content: Content) -> None:
        self._read_model = read_model
        self._content = content
        self._transaction = contextlib.ExitStack()
        self._parts: Iterator[bytes] | None = None
        self._lock = threading.Lock()

    def next(self) -> bytes | None:
        with self._lock:
            if self._parts is None:
                self._parts = self._content(self._transaction.enter_context(self._read_model.reading()))
            return next(self._parts, None)

    def close(self) -> None:
        with self._lock:
            self._parts = None  # with it go the cursors that it holds
            self._transaction.close()


class _Export(Response):
    def __init__(self, exports: Exports, content: Content, media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(headers=dict(headers), media_type=media_type)
        del self.headers["content-length"]
        self._exports = exports
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.ensure_future(_disconnection(receive))
        try:
            async with self._exports.begun(self._content) as parts:
                part = await self._exports.next_part(parts)  # what fails here is answered as an error
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                while part is not None:
                    await _taken(send({"type": "http.response.body", "body": part, "more_body": True}))
                    if gone.done():
                        raise ClientDisconnect
                    part = await self._exports.next_part(parts)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()


async def _taken(sending: Awaitable[None]) -> None:
    try:
        await asyncio.wait_for(sending, _SEND_TIMEOUT_S)
    except TimeoutError:
        _logger.warning("an export was given up: its reader takes nothing", action="export_given_up")
        raise ClientDisconnect from None


async def _disconnection(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
