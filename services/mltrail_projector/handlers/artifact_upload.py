"""What the events of uploads past the server change; they stand in the partition of the artifact-to-be.

An upload begins, is whole, is hashed; or it is abandoned before it is whole. Whichever of "whole" and "abandoned" the
log holds first is what happened: that is what makes it safe to remove the bytes of an abandoned one.
"""

from __future__ import annotations

import re

from mltrail_core.events import ArtifactUploadAbandoned, ArtifactUploadBegan, ArtifactUploaded, ArtifactVerified
from mltrail_core.events.artifact_upload import UPLOAD_METHODS
from mltrail_core.readmodel import tables
from mltrail_core.rules import Reason, path_fault
from mltrail_projector.fold import Fold, Place, Reject, refuse
from mltrail_projector.rows import Row

_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_ETAG_CHARACTERS = 1024
_AnyUpload = ArtifactUploaded | ArtifactVerified | ArtifactUploadAbandoned


def began(event: ArtifactUploadBegan, fold: Fold, place: Place) -> None:
    """The upload is known; the path shows nothing of it yet."""
    refuse(Reason.INVALID, path_fault(event.path))
    if not _UPLOAD_ID.fullmatch(event.upload_id):
        raise Reject(Reason.INVALID, f"{event.upload_id[:80]!r} is no id of an upload; expected 32 hex digits")
    if event.method not in UPLOAD_METHODS:
        raise Reject(Reason.INVALID, f"{event.method[:80]!r} is no way to upload; expected multipart or put")
    if fold.rows.get(tables.artifact_uploads, event.owner, event.path, event.upload_id) is not None:
        raise Reject(Reason.ALREADY_EXISTS, f"upload {event.upload_id} began already")
    fold.rows.put(
        tables.artifact_uploads,
        {
            "owner": event.owner,
            "path": event.path,
            "upload_id": event.upload_id,
            "state": "begun",
            "method": event.method,
            "began_us": place.appended_us,
            "expires_us": event.expires_us,
            "changed_us": place.appended_us,
            "actor": place.actor,
            "index": None,
            "number": None,
            "size_bytes": None,
            "etag": None,
            "sha256": None,
            "verified_index": None,
            "verified_number": None,
        },
    )


def uploaded(event: ArtifactUploaded, fold: Fold, place: Place) -> None:
    """The path shows the upload, not yet hashed; what it showed before stays in its versions."""
    upload = _known(event, fold)
    if event.size_bytes < 0 or not 0 < len(event.etag) <= _MAX_ETAG_CHARACTERS:
        raise Reject(Reason.INVALID, f"{event.size_bytes} bytes with ETag {event.etag[:80]!r} are no upload")
    if upload["state"] == "abandoned":
        raise Reject(Reason.NOT_THERE, f"upload {event.upload_id} was abandoned; upload the file again")
    if upload["state"] == "verified" or upload["etag"] == event.etag:
        return  # said twice
    if upload["state"] == "begun":
        if fold.rows.get(tables.artifacts, event.owner, event.path) is not None:
            fold.rows.delete(tables.artifacts, event.owner, event.path)
        is_shown = True
    else:
        is_shown = _is_shown(event, fold)
    fold.rows.update(
        tables.artifact_uploads,
        upload,
        state="uploaded",
        changed_us=place.appended_us,
        index=place.index,
        number=place.number,
        size_bytes=event.size_bytes,
        etag=event.etag,
    )
    if is_shown:
        fold.rows.put(
            tables.unverified_artifacts,
            {
                "owner": event.owner,
                "path": event.path,
                "upload_id": event.upload_id,
                "size_bytes": event.size_bytes,
                "media_type": event.media_type,
                "uploaded_us": place.appended_us,
            },
        )


def verified(event: ArtifactVerified, fold: Fold, place: Place) -> None:
    """The upload is a blob: the path shows that, unless it shows something else by now, and it is in its versions."""
    upload = _known(event, fold)
    if not _SHA256.fullmatch(event.sha256):
        raise Reject(Reason.INVALID, f"{event.sha256[:80]!r} is no SHA-256; expected 64 hex digits")
    if upload["state"] == "verified" and upload["sha256"] == event.sha256:
        return  # two workers hashed it
    if upload["state"] != "uploaded" or upload["size_bytes"] != event.size_bytes:
        message = f"upload {event.upload_id} is {upload['state']!s} with {upload['size_bytes']!s} bytes"
        raise Reject(Reason.INVALID, f"{message}, so {event.size_bytes} hashed bytes are not what was uploaded")
    fold.rows.update(
        tables.artifact_uploads,
        upload,
        state="verified",
        changed_us=place.appended_us,
        sha256=event.sha256,
        verified_index=place.index,
        verified_number=place.number,
    )
    shown = fold.rows.get(tables.unverified_artifacts, event.owner, event.path)
    if shown is not None and shown["upload_id"] == event.upload_id:
        fold.rows.delete(tables.unverified_artifacts, event.owner, event.path)
        fold.rows.put(
            tables.artifacts,
            {
                "owner": event.owner,
                "path": event.path,
                "size_bytes": event.size_bytes,
                "sha256": event.sha256,
                "media_type": shown["media_type"],
                "stored_us": shown["uploaded_us"],
            },
        )
    # Where it was uploaded, not where it was hashed: the path may have been overwritten in between.
    fold.rows.put(
        tables.artifact_versions,
        {
            "owner": event.owner,
            "path": event.path,
            "index": upload["index"],
            "number": upload["number"],
            "size_bytes": event.size_bytes,
            "sha256": event.sha256,
            "stored_us": upload["changed_us"],
            "actor": upload["actor"],
        },
    )


def abandoned(event: ArtifactUploadAbandoned, fold: Fold, place: Place) -> None:
    """Nothing comes of the upload any more."""
    upload = _known(event, fold)
    if upload["state"] == "abandoned":
        return
    if upload["state"] != "begun":
        raise Reject(Reason.NOT_ALLOWED, f"upload {event.upload_id} is whole; delete the artifact instead")
    fold.rows.update(tables.artifact_uploads, upload, state="abandoned", changed_us=place.appended_us)


def _known(event: _AnyUpload, fold: Fold) -> Row:
    upload = fold.rows.get(tables.artifact_uploads, event.owner, event.path, event.upload_id)
    if upload is None:
        message = f"no upload {event.upload_id[:80]!r} to {event.path!r} of {event.owner} began"
        raise Reject(Reason.UNKNOWN_SUBJECT, message)
    return upload


def _is_shown(event: ArtifactUploaded, fold: Fold) -> bool:
    shown = fold.rows.get(tables.unverified_artifacts, event.owner, event.path)
    return shown is not None and shown["upload_id"] == event.upload_id
