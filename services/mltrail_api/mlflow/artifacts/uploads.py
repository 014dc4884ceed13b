"""Uploads past the server: what the read model knows of them, and what clients brought since it was last looked at."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection, select

from mltrail_api.mlflow.artifacts.paths import media_type_of
from mltrail_api.mlflow.artifacts.places import Place
from mltrail_api.services import Services
from mltrail_api.transfer import Content
from mltrail_api.visibility import EVENTUAL
from mltrail_core.artifacts import DirectTransfer
from mltrail_core.artifacts.direct import UploadedObject, UploadId
from mltrail_core.clock import now_us
from mltrail_core.errors import NotFound, Rejected, Unsupported
from mltrail_core.events import ArtifactUploaded
from mltrail_core.events.artifact import LOOSE_FILES
from mltrail_core.events.artifact_upload import PUT
from mltrail_core.readmodel.tables import artifact_uploads
from mltrail_core.record import Actor

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KnownUpload:
    """An upload that the log knows: `state` is begun, uploaded, verified or abandoned."""

    owner: str
    path: str
    upload_id: UploadId
    state: str
    actor: str
    expires_us: int

    @property
    def place(self) -> Place:
        """The path that it is to become."""
        return Place(self.owner, self.path)


def direct_transfer(services: Services, purpose: str) -> DirectTransfer:
    """Return how clients go past the server.

    Raises:
        Unsupported: they can't; the message begins as stock's does, which its client looks for.
    """
    direct = services.artifacts.direct
    if direct is None or not direct.reaches_clients:
        raise Unsupported(f"{purpose} is not supported for the current artifact repository; send it to this server")
    return direct


def upload_at(connection: Connection, place: Place, upload_id: str) -> KnownUpload | None:
    """Return an upload to a place, or None."""
    table = artifact_uploads.c
    query = _UPLOADS.where(table.owner == place.owner, table.path == place.path, table.upload_id == upload_id)
    row = connection.execute(query).first()
    return None if row is None else KnownUpload(*row)


async def note_arrivals(services: Services, place: Place) -> None:
    """Append what clients have put by URL among the artifacts of the place's owner, which they don't tell us.

    So whoever looks sees it, and what is written after it was put stands after it in the log.
    """
    direct = services.artifacts.direct
    if direct is None or place.owner == LOOSE_FILES:
        return
    table = artifact_uploads.c
    awaited = _UPLOADS.where(table.owner == place.owner, table.state == "begun", table.method == PUT)
    seen = await services.visibility.read(lambda connection: connection.execute(awaited).all(), EVENTUAL)
    if seen.value:
        await asyncio.gather(*(_note_arrival(services, direct, KnownUpload(*row)) for row in seen.value))


async def append_uploaded(
    services: Services, place: Place, upload_id: UploadId, found: UploadedObject, actor: Actor
) -> bool:
    """Append that the store holds an upload; return whether the fold has accepted it in time.

    Raises:
        Rejected: the upload was abandoned.
    """
    uploaded = ArtifactUploaded(
        now_us(), place.owner, place.path, upload_id, found.size_bytes, found.etag, media_type_of(place.path)
    )
    written = await services.appender.append(place.partition, [uploaded], actor)
    return await services.visibility.outcome(written)


async def content_of_upload(services: Services, upload_id: str) -> Content:
    """Return the content of an upload that nobody has hashed yet.

    Raises:
        NotFound: the store has it no longer.
        Unsupported: the server was started without the S3 that it was brought to.
    """
    direct, known = services.artifacts.direct, UploadId(upload_id)
    if direct is None:
        raise Unsupported(f"upload {upload_id} lies in an S3 store, and this server was started without one")
    found = await services.visibility.run(lambda: direct.stat_upload(known))
    return Content(
        f"{upload_id}-{found.etag.strip(chr(34))}",
        found.size_bytes,
        lambda start, end: direct.open_upload(known, start, end),
    )


async def _note_arrival(services: Services, direct: DirectTransfer, upload: KnownUpload) -> None:
    try:
        found = await services.visibility.run(lambda: direct.stat_upload(upload.upload_id))
    except NotFound:
        return  # not yet, or never
    try:
        await append_uploaded(services, upload.place, upload.upload_id, found, Actor(upload.actor))
    except Rejected as error:
        # Abandoned in this very moment; that is in the log, and the client's URL had ended long before.
        _logger.info("an upload came too late", action="upload_too_late", upload_id=upload.upload_id, error=str(error))


_UPLOADS = select(
    artifact_uploads.c.owner,
    artifact_uploads.c.path,
    artifact_uploads.c.upload_id,
    artifact_uploads.c.state,
    artifact_uploads.c.actor,
    artifact_uploads.c.expires_us,
)
