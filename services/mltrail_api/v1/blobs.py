"""`/api/v1/blobs`: bytes of artifacts, streamed both ways in constant memory, by their SHA-256."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from mltrail_api.services import Services
from mltrail_api.transfer import content_of_blob, content_response, receive_blob
from mltrail_core.errors import Invalid

router = APIRouter()
_ANY_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


class StoredBlob(BaseModel):
    """A blob that is durable in the artifact store."""

    sha256: str
    size_bytes: int


@router.post(
    "/blobs",
    summary="Store a blob",
    description="The body, whatever it holds, is durable under its SHA-256 when the answer comes.",
    openapi_extra={"requestBody": {"required": True, "content": _ANY_BYTES}},
)
async def put_blob(request: Request) -> StoredBlob:
    """Store the request's body; nothing is kept of one that breaks off."""
    services: Services = request.app.state.services
    try:
        blob = await receive_blob(services, request.stream())
    except ClientDisconnect as error:
        raise Invalid("the upload broke off; nothing was stored") from error
    return StoredBlob(sha256=blob.sha256, size_bytes=blob.size_bytes)


@router.get(
    "/blobs/{sha256}",
    summary="Fetch a blob",
    description="One range of bytes may be asked for by `Range`, also on condition by `If-Range`; `ETag` is the hash.",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"application/octet-stream": {}}},
        206: {"description": "The range asked for."},
        304: {"description": "The caller has it: `If-None-Match` names the hash."},
        416: {"description": "The range begins past the end."},
    },
)
async def get_blob(request: Request, sha256: str) -> Response:
    """Stream a blob or a range of it; a range past its end is answered 416."""
    services: Services = request.app.state.services
    content = await content_of_blob(services, sha256)
    return await content_response(services, request, content, "application/octet-stream", {})
