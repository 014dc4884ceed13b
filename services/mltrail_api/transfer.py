"""Bytes between requests and the artifact store: streamed both ways in constant memory, hashed on the way in.

Blocking calls of the store run in the reading threads, one chunk at a time, so a slow client holds no thread.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from mltrail_api.services import Services
from mltrail_core.artifacts import Blob, BlobStream
from mltrail_core.errors import MltrailError

CHUNK_BYTES = 1 << 20
"""What the store is given at a time: large enough that the hop to a thread costs nothing beside hashing and writing."""
_RANGE = re.compile(r"bytes=(\d{1,18})?-(\d{1,18})?")


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that an answer can be made of. `tag` (without quotes) is another as soon as one byte is."""

    tag: str
    size_bytes: int
    open: Callable[[int, int], BlobStream]
    """Streams the bytes from the first number up to but without the second."""


async def receive_blob(services: Services, stream: AsyncIterator[bytes]) -> Blob:
    """Return the blob that holds all bytes of `stream`, once it is durable; nothing is kept when `stream` raises.

    Raises:
        Unavailable: the store can't be written; nothing is kept.
    """
    run = services.visibility.run
    writer = await run(services.artifacts.writer)
    try:
        buffered = bytearray()
        async for chunk in stream:
            buffered += chunk
            if len(buffered) >= CHUNK_BYTES:
                full, buffered = buffered, bytearray()
                await run(lambda full=full: writer.write(full))  # type: ignore[misc]
        await run(lambda: writer.write(buffered))
        return await run(writer.commit)
    finally:
        await run(writer.abort)  # does nothing after a commit


async def content_of_blob(services: Services, sha256: str) -> Content:
    """Return the content of a blob.

    Raises:
        NotFound: no such blob.
        Invalid: `sha256` is no hash.
        Unavailable: the store can't be read.
    """
    store = services.artifacts
    size_bytes = (await services.visibility.run(lambda: store.stat(sha256))).size_bytes
    return Content(sha256, size_bytes, lambda start, end: store.open(sha256, start, end))


async def content_response(
    services: Services, request: Request, content: Content, media_type: str, headers: Mapping[str, str]
) -> Response:
    """Return the answer that streams a content, or the range of it that the request asks for.

    One range is served (206, or 416 past the end); several, and what is no range, are ignored as RFC 9110 allows.

    Raises:
        NotFound: it is there no longer.
        Unavailable: the store can't be read.
    """
    size_bytes, tag = content.size_bytes, f'"{content.tag}"'
    known = {**headers, "ETag": tag, "Accept-Ranges": "bytes", "Cache-Control": "no-cache"}
    if tag in (part.strip() for part in request.headers.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers=known)
    start, end, status = 0, size_bytes, 200
    wanted = request.headers.get("range")
    if wanted is not None and request.headers.get("if-range", tag) == tag:
        found = _wanted_range(wanted, size_bytes)
        if found is not None:
            start, end = found
            if start >= end:
                return Response(status_code=416, headers={"Content-Range": f"bytes */{size_bytes}"})
            status, known["Content-Range"] = 206, f"bytes {start}-{end - 1}/{size_bytes}"
    known["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=known, media_type=media_type)
    stream = await services.visibility.run(lambda: content.open(start, end))
    return _ContentResponse(services, stream, status, known, media_type)


class _ContentResponse(StreamingResponse):
    """Streams a content and closes it however the answer ends."""

    def __init__(
        self, services: Services, stream: BlobStream, status: int, headers: Mapping[str, str], media_type: str
    ) -> None:
        super().__init__(_chunks(services, stream), status, headers, media_type)
        self._services = services
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except MltrailError as error:
            # The status is sent, so no error can be: cutting the connection tells the client that bytes are missing.
            raise ConnectionAbortedError(f"the store failed in the middle of a download: {error}") from error
        finally:
            await self._services.visibility.run(self._stream.close)


async def _chunks(services: Services, stream: BlobStream) -> AsyncIterator[bytes]:
    chunks = iter(stream)
    while (chunk := await services.visibility.run(lambda: next(chunks, None))) is not None:
        yield chunk


def _wanted_range(header: str, size_bytes: int) -> tuple[int, int] | None:
    found = _RANGE.fullmatch(header.strip())
    if found is None or found[1] is found[2] is None:
        return None
    if found[1] is None:
        return max(0, size_bytes - int(found[2])), size_bytes
    if found[2] and int(found[2]) < int(found[1]):
        return None
    return int(found[1]), min(size_bytes, int(found[2]) + 1) if found[2] else size_bytes
