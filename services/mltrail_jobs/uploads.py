"""The jobs that see to uploads until they are blobs: what arrived is noted, what never will is given up and removed.

Nothing is removed on the word of the read model's clock alone: an upload is abandoned by an event, which the fold takes
only while the upload is not whole, and its bytes go when that is seen to have been taken.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import select

from mltrail_core.artifacts import ArtifactStore, DirectTransfer, open_artifact_store
from mltrail_core.artifacts.direct import UploadId
from mltrail_core.clock import now_us
from mltrail_core.errors import NotFound
from mltrail_core.events import ArtifactUploadAbandoned, ArtifactUploaded
from mltrail_core.events.artifact_upload import PUT
from mltrail_core.events.home import artifact_subject
from mltrail_core.ids import partition_of
from mltrail_core.log import open_log
from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_core.readmodel.tables import artifact_uploads
from mltrail_jobs.journal import Journal
from mltrail_jobs.places import Places

UNFINISHED_AFTER_S = 24 * 3600.0
"""An upload through the server that got no byte for a day has no living writer; one that has would lose its upload."""
ABANDONED_AFTER_S = 24 * 3600
"""How long after its last URL ended an upload past the server is still waited for: a PUT may take as long."""
KEPT_AFTER_S = 3600
"""How long the bytes of a hashed upload stay: whoever began to read them, or has a URL to, goes on."""
_IDS_PER_QUERY = 500

logger: structlog.stdlib.BoundLogger = structlog.get_logger("mltrail.jobs")


@dataclass(frozen=True, slots=True)
class Noted:
    """What a look at uploads that are not whole has found."""

    arrived: int
    abandoned: int


@dataclass(frozen=True, slots=True)
class BegunUpload:
    """An upload that is not known to be whole."""

    owner: str
    path: str
    upload_id: UploadId
    method: str
    expires_us: int


def note_uploads(places: Places, *, clock_us: Callable[[], int] = now_us) -> Noted:
    """Append which files clients have put by URL, and which uploads nobody will finish any more. It can be repeated.

    Raises:
        Unavailable: log, read model or store failed; what was noted stays noted.
    """
    with contextlib.closing(open_read_model(places.store_url)) as read_model:
        begun = _begun(read_model)
    if not begun:
        return Noted(0, 0)
    with (
        contextlib.closing(open_artifact_store(places.artifacts_url)) as store,
        contextlib.closing(open_log(places.log_url)) as log,
    ):
        if store.direct is None:
            return Noted(0, 0)
        noted = _note(store.direct, begun, Journal(log), clock_us())
    if noted != Noted(0, 0):
        logger.info("uploads noted", action="uploads_noted", arrived=noted.arrived, abandoned=noted.abandoned)
    return noted


def sweep_unfinished_uploads(
    places: Places, *, older_than_s: float = UNFINISHED_AFTER_S, clock_us: Callable[[], int] = now_us
) -> int:
    """Remove uploads that got no byte for `older_than_s` seconds, and the bytes of uploads past the server that were
    abandoned or hashed; return how many. Idempotent.

    Raises:
        Unavailable: store or read model failed; what was removed stays removed.
    """
    with contextlib.closing(open_artifact_store(places.artifacts_url)) as store:
        swept = store.sweep_unfinished(older_than_s) + _sweep_settled(store, places.store_url, clock_us())
    logger.info("unfinished uploads swept", action="uploads_swept", swept=swept, older_than_s=older_than_s)
    return swept


def _note(direct: DirectTransfer, begun: Sequence[BegunUpload], journal: Journal, at_us: int) -> Noted:
    arrived = abandoned = 0
    for upload in begun:
        partition = partition_of(artifact_subject(upload.owner, upload.path))
        subject = (at_us, upload.owner, upload.path, upload.upload_id)
        if upload.method == PUT:
            with contextlib.suppress(NotFound):
                found = direct.stat_upload(upload.upload_id)
                journal.append(partition, [ArtifactUploaded(*subject, found.size_bytes, found.etag)])
                arrived += 1
                continue
        if at_us > upload.expires_us + ABANDONED_AFTER_S * 1_000_000:
            journal.append(partition, [ArtifactUploadAbandoned(*subject)])
            abandoned += 1
    return Noted(arrived, abandoned)


def _sweep_settled(store: ArtifactStore, store_url: str, at_us: int) -> int:
    direct, swept = store.direct, 0
    if direct is None:
        return 0
    ids = sorted(set(direct.list_uploads()))
    with contextlib.closing(open_read_model(store_url)) as read_model:
        for first in range(0, len(ids), _IDS_PER_QUERY):
            for upload_id in _settled(read_model, ids[first : first + _IDS_PER_QUERY], at_us):
                direct.discard(upload_id)
                swept += 1
    return swept


def _begun(read_model: ReadModel) -> list[BegunUpload]:
    table = artifact_uploads.c
    query = select(table.owner, table.path, table.upload_id, table.method, table.expires_us)
    with read_model.reading() as connection:
        rows = connection.execute(query.where(table.state == "begun").order_by(table.changed_us)).all()
    return [
        BegunUpload(owner, path, UploadId(upload), method, expires) for owner, path, upload, method, expires in rows
    ]


def _settled(read_model: ReadModel, ids: Sequence[UploadId], at_us: int) -> list[UploadId]:
    """Return which of these nobody needs; one that the read model does not know may be another deployment's."""
    table = artifact_uploads.c
    query = select(table.upload_id, table.state, table.changed_us).where(table.upload_id.in_(ids))
    with read_model.reading() as connection:
        rows = connection.execute(query).all()
    kept_from = at_us - KEPT_AFTER_S * 1_000_000
    return [
        UploadId(upload_id)
        for upload_id, state, changed_us in rows
        if state == "abandoned" or (state == "verified" and changed_us < kept_from)
    ]
