"""What answers from the first moment: `/health` at once, every other request as soon as the application is loaded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from mltrail_api.app import Application
    from mltrail_api.express import Express


class Front:
    """An ASGI application that loads the real one in a thread while it already answers.

    When loading fails, the process is asked to end as by SIGTERM, and `failure` says why.
    """

    def __init__(self, load: Callable[[], Application]) -> None:
        self._load = load
        self._app: Application | None = None
        self._loading: asyncio.Task[Application] | None = None

    @property
    def failure(self) -> BaseException | None:
        """Why the application could not be loaded."""
        if self._loading is None or not self._loading.done() or self._loading.cancelled():
            return None
        return self._loading.exception()

    def express(self) -> Express | None:
        """Return the application's express lane, once it is loaded."""
        return None if self._app is None else self._app.express

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or follow the server's start and end."""
        if self._app is not None and scope["type"] != "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] == "lifespan":
            return await self._live(receive, send)
        if scope["type"] == "http" and scope["path"] == "/health":
            return await _answer(send, 200, b"OK")
        assert self._loading is not None
        await asyncio.wait([self._loading])
        if self._app is None:
            return await _answer(send, 503, b"the server could not start; its log says why")
        await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        async with contextlib.AsyncExitStack() as running:
            await receive()
            self._loading = asyncio.create_task(self._start(running))
            self._loading.add_done_callback(_end_when_failed)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await asyncio.wait([self._loading])
        await send({"type": "lifespan.shutdown.complete"})

    async def _start(self, running: contextlib.AsyncExitStack) -> Application:
        app = await asyncio.to_thread(self._load)
        await running.enter_async_context(app.router.lifespan_context(app))
        self._app = app
        return app


def _end_when_failed(loading: asyncio.Task[Application]) -> None:
    if not loading.cancelled() and loading.exception() is not None:
        os.kill(os.getpid(), signal.SIGTERM)


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
