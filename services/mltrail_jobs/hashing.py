"""The job that hashes what was uploaded past the server: only then does it count as stored."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import structlog
from sqlalchemy import and_, or_, select

from mltrail_core.artifacts import Blob, DirectTransfer, open_artifact_store
from mltrail_core.artifacts.direct import UploadedObject, UploadId
from mltrail_core.clock import now_us
from mltrail_core.errors import Conflict, Invalid, NotFound
from mltrail_core.events import ArtifactUploaded, ArtifactVerified, Event
from mltrail_core.events.artifact_upload import MULTIPART, PUT
from mltrail_core.events.home import artifact_subject
from mltrail_core.ids import partition_of
from mltrail_core.log import open_log
from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_core.readmodel.tables import artifact_uploads, unverified_artifacts
from mltrail_jobs.journal import Journal
from mltrail_jobs.places import Places
from mltrail_jobs.sweeper import DueJob
from mltrail_jobs.verification import Interrupted

HASH_EVERY_S = 900
"""How soon an upload that could not be made a blob of is looked at again."""
MAX_DUE_UPLOADS = 1000
_BASE_TIMEOUT_S = 900
_SLOWEST_BYTES_PER_S = 10_000_000
"""Of reading an upload from its store once, and of copying it inside."""

Outcome = Literal["hashed", "gone", "missing", "corrupt", "changed"]
logger: structlog.stdlib.BoundLogger = structlog.get_logger("mltrail.jobs")


@dataclass(frozen=True, slots=True)
class UnhashedUpload:
    """What the log says of an upload that is whole. `media_type` is known as long as its path shows it."""

    owner: str
    path: str
    upload_id: UploadId
    method: str
    size_bytes: int
    etag: str
    media_type: str | None


def find_unhashed_uploads(read_model: ReadModel, at_us: int) -> list[DueJob]:
    """Return a job for each upload that is whole and not hashed, the oldest first.

    One that was put by URL can be put again until the URL ends, and is hashed then.
    """
    table = artifact_uploads.c
    is_final = or_(table.method == MULTIPART, table.expires_us < at_us)
    query = (
        select(table.upload_id, table.size_bytes)
        .where(and_(table.state == "uploaded", is_final))
        .order_by(table.changed_us)
        .limit(MAX_DUE_UPLOADS)
    )
    with read_model.reading() as connection:
        rows = connection.execute(query).all()
    round_number = at_us // (HASH_EVERY_S * 1_000_000)
    return [
        DueJob(
            job_id=f"hash_upload-{upload_id}-{round_number}",
            name="hash_upload",
            arguments=(upload_id,),
            round_s=HASH_EVERY_S,
            timeout_s=_BASE_TIMEOUT_S + (size_bytes or 0) // _SLOWEST_BYTES_PER_S,
        )
        for upload_id, size_bytes in rows
    ]


def hash_upload(places: Places, upload_id: str, *, should_stop: Callable[[], bool] = lambda: False) -> Outcome:
    """Hash an upload, make a blob of it and say so in the log; return what came of it. Repeating it does no harm.

    What is missing or corrupt stays unverified, and is logged as an error with the run and path that show it.

    Raises:
        Interrupted: `should_stop` became true; the job is to be run again.
        Unavailable: log, read model or store failed; the same.
    """
    with contextlib.closing(open_read_model(places.store_url)) as read_model:
        upload = _load(read_model, upload_id)
    if upload is None:
        return "gone"
    with contextlib.closing(open_artifact_store(places.artifacts_url)) as store:
        if store.direct is None:
            raise Invalid(f"upload {upload_id} lies in an S3 store, but the artifacts URL names a folder")
        try:
            found = store.direct.stat_upload(upload.upload_id)
            if upload.method == MULTIPART and (found.etag, found.size_bytes) != (upload.etag, upload.size_bytes):
                _report("upload is not what was uploaded: upload it again", "artifact_corrupt", upload, found)
                return "corrupt"
            blob = _adopt(store.direct, upload, found, should_stop)
        except NotFound:
            _report("upload is missing from the store: upload it again", "artifact_missing", upload, None)
            return "missing"
        except Conflict as error:
            logger.warning("upload changed while it was hashed", action="upload_changed", error=str(error))
            return "changed"
    with contextlib.closing(open_log(places.log_url)) as log:
        partition = partition_of(artifact_subject(upload.owner, upload.path))
        Journal(log).append(partition, _said_of(upload, found, blob))
    logger.info(
        "upload hashed",
        action="upload_hashed",
        upload_id=upload_id,
        owner=upload.owner,
        path=upload.path,
        sha256=blob.sha256,
        size_bytes=blob.size_bytes,
    )
    return "hashed"


def _adopt(
    direct: DirectTransfer, upload: UnhashedUpload, found: UploadedObject, should_stop: Callable[[], bool]
) -> Blob:
    blob = direct.adopt(upload.upload_id, found.etag, should_stop)
    if blob is None:
        raise Interrupted(f"told to stop while upload {upload.upload_id} was hashed")
    if blob.size_bytes != found.size_bytes:
        raise Conflict(f"upload {upload.upload_id} has {found.size_bytes} bytes and gave {blob.size_bytes}")
    return blob


def _said_of(upload: UnhashedUpload, found: UploadedObject, blob: Blob) -> list[Event]:
    subject = (now_us(), upload.owner, upload.path, upload.upload_id)
    said: list[Event] = [ArtifactVerified(*subject, blob.size_bytes, blob.sha256)]
    if upload.method == PUT and found.etag != upload.etag:  # put again since it was noted
        said.insert(0, ArtifactUploaded(*subject, found.size_bytes, found.etag, upload.media_type))
    return said


def _load(read_model: ReadModel, upload_id: str) -> UnhashedUpload | None:
    table, shown = artifact_uploads.c, unverified_artifacts.c
    is_shown = and_(shown.owner == table.owner, shown.path == table.path, shown.upload_id == table.upload_id)
    query = (
        select(table.owner, table.path, table.upload_id, table.method, table.size_bytes, table.etag, shown.media_type)
        .join_from(artifact_uploads, unverified_artifacts, is_shown, isouter=True)
        .where(table.upload_id == upload_id, table.state == "uploaded")
    )
    with read_model.reading() as connection:
        row = connection.execute(query).first()
    if row is None:
        return None
    return UnhashedUpload(
        row.owner, row.path, UploadId(row.upload_id), row.method, row.size_bytes, row.etag, row.media_type
    )


def _report(message: str, action: str, upload: UnhashedUpload, found: UploadedObject | None) -> None:
    logger.error(
        message,
        action=action,
        upload_id=upload.upload_id,
        owner=upload.owner,
        path=upload.path,
        size_bytes=upload.size_bytes,
        etag=upload.etag,
        found_size_bytes=None if found is None else found.size_bytes,
        found_etag=None if found is None else found.etag,
    )
