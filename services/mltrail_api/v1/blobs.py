"""`/api/v1/blobs`: bytes of artifacts, streamed both ways in constant memory, by their SHA-256."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from mltrail_api.services import Services
from mltrail_core.artifacts import BlobStream
from mltrail_core.errors import Invalid

CHUNK_BYTES = 1 << 20
_RANGE = re.compile(r"bytes=(\d{1,18})?-(\d{1,18})?")

router = APIRouter()


class StoredBlob(BaseModel):
    """A blob that is durable in the artifact store."""

    sha256: str
    size_bytes: int


@router.post(
    "/blobs",
    summary="Store a blob",
    description="The body, whatever it holds, is durable under its SHA-256 when the answer comes.",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def put_blob(request: Request) -> StoredBlob:
    """Store the request's body; nothing is kept of one that breaks off."""
    services: Services = request.app.state.services
    run = services.visibility.run
    writer = await run(services.artifacts.writer)
    try:
        buffered = bytearray()
        async for chunk in request.stream():
            buffered += chunk
            if len(buffered) >= CHUNK_BYTES:
                full, buffered = buffered, bytearray()
                await run(lambda full=full: writer.write(full))  # type: ignore[misc]
        await run(lambda: writer.write(buffered))
        blob = await run(writer.commit)
    except ClientDisconnect as error:
        raise Invalid("the upload broke off; nothing was stored") from error
    finally:
        await run(writer.abort)
    return StoredBlob(sha256=blob.sha256, size_bytes=blob.size_bytes)


@router.get(
    "/blobs/{sha256}",
    summary="Fetch a blob",
    description="One range of bytes may be asked for by `Range`.",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {}}}, 206: {"description": "The range asked for."}},
)
async def get_blob(
    request: Request, sha256: str, wanted_range: Annotated[str | None, Header(alias="range")] = None
) -> Response:
    """Stream a blob or a range of it; a range past its end is answered 416."""
    services: Services = request.app.state.services
    stored = await services.visibility.run(lambda: services.artifacts.stat(sha256))
    wanted = _wanted(wanted_range, stored.size_bytes)
    if wanted is None:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{stored.size_bytes}"})
    start, end = wanted
    stream = await services.visibility.run(lambda: services.artifacts.open(sha256, start, end))
    headers = {"Content-Length": str(end - start), "Accept-Ranges": "bytes", "ETag": f'"{sha256}"'}
    if wanted_range is None:
        return StreamingResponse(_chunks(services, stream), 200, headers, "application/octet-stream")
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{stored.size_bytes}"
    return StreamingResponse(_chunks(services, stream), 206, headers, "application/octet-stream")


def _wanted(header: str | None, size_bytes: int) -> tuple[int, int] | None:
    if header is None:
        return 0, size_bytes
    found = _RANGE.fullmatch(header.strip())
    if found is None or found[1] is found[2] is None:
        raise Invalid(f"Range {header[:100]!r} is not understood; expected bytes=first-last, bytes=first- or bytes=-n")
    if found[1] is None:
        start, end = max(0, size_bytes - int(found[2])), size_bytes
    else:
        start, end = int(found[1]), min(size_bytes, int(found[2]) + 1 if found[2] else size_bytes)
    return (start, end) if start < end else None


async def _chunks(services: Services, stream: BlobStream) -> AsyncIterator[bytes]:
    try:
        chunks = iter(stream)
        while (chunk := await services.visibility.run(lambda: next(chunks, None))) is not None:
            yield chunk
    finally:
        stream.close()
