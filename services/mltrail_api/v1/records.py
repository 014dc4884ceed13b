"""`POST /api/v1/records`: records that a trainer's SDK froze go into the log as they are."""

from __future__ import annotations

import zlib

import msgpack
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from mltrail_api.identity.identity import identity_of
from mltrail_api.mlflow.wire import json_bytes
from mltrail_api.services import Services
from mltrail_core.errors import Invalid
from mltrail_core.events import (
    ArtifactUploadAbandoned,
    ArtifactUploadBegan,
    ArtifactUploaded,
    ArtifactVerified,
    RunLost,
    RunReturned,
    TokenCreated,
    TokenRevoked,
    WebhookCreated,
    WebhookDeleted,
    WebhookDeliveryAttempted,
    WebhookRedeliveryRequested,
    WebhookUpdated,
)
from mltrail_core.log import Durability
from mltrail_core.record import MAX_RECORD_BYTES, FrozenRecord, Record, attest, decode_record

MAX_BODY_BYTES = 32 << 20
"""Of one request, before and after its encoding is undone: a few of the largest records."""
MAX_RECORDS = 1000
"""Of one request: more would find the appender's queue full in the middle, each time they are sent again."""
_NOT_FOR_TRAINERS = (
    ArtifactUploadAbandoned,
    ArtifactUploadBegan,
    ArtifactUploaded,
    ArtifactVerified,
    RunLost,
    RunReturned,
    TokenCreated,
    TokenRevoked,
    WebhookCreated,
    WebhookDeleted,
    WebhookDeliveryAttempted,
    WebhookRedeliveryRequested,
    WebhookUpdated,
)
"""What has endpoints of its own, which check who asks and what for, and what only jobs may say. With a frozen
`token_created` anybody who has a token would get one of another user; `artifact_verified` would vouch for bytes that
nobody has hashed."""

router = APIRouter()


class AppendedRecord(BaseModel):
    """Where the log put a record; indices of a partition are contiguous from 1."""

    partition: str
    index: int
    appended_us: int


class AppendedRecords(BaseModel):
    """Where all records of a request are, in the order in which they were sent, and what they survive."""

    durability: Durability
    appended: list[AppendedRecord]


@router.post(
    "/records",
    response_model=AppendedRecords,
    summary="Append frozen records",
    description=f"The body is a msgpack array of at most {MAX_RECORDS} frozen records (bin), plain or with "
    "`Content-Encoding: gzip`. None is appended when one can't be decoded. Sending a record again is harmless.",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/msgpack": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def append_records(request: Request) -> Response:
    """Return once every record is durable.

    Raises:
        Invalid: the body, or one of its records, can't be decoded; nothing was appended.
        LogFull, Unavailable: not all were appended; send the same bytes again.
    """
    return await _append(request.app.state.services, request)


class Intake:
    """The same endpoint as an ASGI application of its own: FastAPI's layers cost a millisecond, more than the rest."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def owns(self, method: str, path: str) -> bool:
        """Return whether a request is for this endpoint."""
        return path == "/api/v1/records" and method == "POST"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; errors are the edge's."""
        answer = await _append(self._services, Request(scope, receive))
        await answer(scope, receive, send)


async def _append(services: Services, request: Request) -> Response:
    body = _decoded(await _body(request), request.headers.get("content-encoding", "identity"))
    records = await services.visibility.run(lambda: _records(body))
    identity = identity_of(request.scope)
    if identity is not None:
        records = [(record, attest(frozen, identity.attestation)) for record, frozen in records]
    appended = [
        {"partition": place.partition, "index": place.index, "appended_us": place.appended_us}
        for place in (written.appended for written in await services.appender.append_frozen(records))
    ]
    answer = json_bytes({"durability": services.log.durability, "appended": appended})
    return Response(answer, media_type="application/json")


async def _body(request: Request) -> bytes:
    chunks, size_bytes = [], 0
    async for chunk in request.stream():
        size_bytes += len(chunk)
        if size_bytes > MAX_BODY_BYTES:
            raise Invalid(f"the request's body is over {MAX_BODY_BYTES:,} bytes; send the records in several requests")
        chunks.append(chunk)
    return b"".join(chunks)


def _decoded(body: bytes, encoding: str) -> bytes:
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise Invalid(f"Content-Encoding {encoding[:100]!r} is not understood; expected gzip or none")
    inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        decoded = inflate.decompress(body, MAX_BODY_BYTES)
    except zlib.error as error:
        raise Invalid(f"the request's body is not gzip: {error}") from error
    if inflate.unconsumed_tail:
        raise Invalid(f"the request's body is over {MAX_BODY_BYTES:,} bytes unpacked; send the records in several")
    if not inflate.eof:
        raise Invalid("the request's body is cut off: its gzip stream does not end")
    return decoded


def _records(body: bytes) -> list[tuple[Record, FrozenRecord]]:
    try:
        items = msgpack.unpackb(body, max_bin_len=MAX_RECORD_BYTES)
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise Invalid(f"the request's body is not msgpack: {error}") from error
    if not isinstance(items, list):
        raise Invalid(f"the request's body should be a msgpack array of records, found {type(items).__name__}")
    if len(items) > MAX_RECORDS:
        raise Invalid(f"the request holds {len(items)} records; send at most {MAX_RECORDS} at once")
    records = []
    for number, item in enumerate(items):
        if not isinstance(item, bytes):
            raise Invalid(f"record {number} of the request should be bytes, found {type(item).__name__}")
        try:
            record = decode_record(item)
        except Invalid as error:
            raise Invalid(f"record {number} of the request: {error}") from error
        if record.attestation is not None or record.actor.known != "claimed":
            raise Invalid(f"record {number} of the request says that its sender is verified, which only a server may")
        for event in record.events:
            if isinstance(event, _NOT_FOR_TRAINERS):
                raise Invalid(
                    f"record {number} of the request holds {event.WIRE_NAME}, which is not taken from trainers; "
                    "tokens, webhooks and uploads have endpoints of their own, and jobs speak for themselves"
                )
        records.append((record, FrozenRecord(item)))
    return records
