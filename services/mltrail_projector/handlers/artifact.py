"""What the events of artifacts change; they stand in the partition of their owner."""

from __future__ import annotations

import re

from sqlalchemy import Table

from mltrail_core.events import ArtifactDeleted, ArtifactStored
from mltrail_core.events.artifact import LOOSE_FILES
from mltrail_core.readmodel import tables
from mltrail_core.rules import Reason, path_fault
from mltrail_projector.fold import Fold, Place, Reject, refuse

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHOWN = (tables.artifacts, tables.unverified_artifacts)
"""Where a path that shows something stands; in one of them only."""


def stored(event: ArtifactStored, fold: Fold, place: Place) -> None:
    """The path shows this blob; what it showed before stays in its versions."""
    refuse(Reason.INVALID, path_fault(event.path))
    if not _SHA256.fullmatch(event.sha256) or event.size_bytes < 0:
        message = f"{event.sha256!r} with {event.size_bytes} bytes is no blob; expected a SHA-256 in hex and its size"
        raise Reject(Reason.INVALID, message)
    if fold.rows.get(tables.unverified_artifacts, event.owner, event.path) is not None:
        fold.rows.delete(tables.unverified_artifacts, event.owner, event.path)
    fold.rows.put(
        tables.artifacts,
        {
            "owner": event.owner,
            "path": event.path,
            "size_bytes": event.size_bytes,
            "sha256": event.sha256,
            "media_type": event.media_type,
            "stored_us": place.appended_us,
        },
    )
    _keep_version(fold, place, event.owner, event.path, event.size_bytes, event.sha256)


def deleted(event: ArtifactDeleted, fold: Fold, place: Place) -> None:
    """The path and all below it are shown no longer; of files without an owner the path alone."""
    gone = [(table, path) for table in _SHOWN for path in _paths_at(table, event.owner, event.path, fold)]
    if not gone:
        raise Reject(Reason.NOT_THERE, f"{event.owner} has no artifact at {event.path!r}")
    for table, path in gone:
        fold.rows.delete(table, event.owner, path)
        _keep_version(fold, place, event.owner, path, None, None)


def _paths_at(table: Table, owner: str, path: str, fold: Fold) -> list[str]:
    """Return the paths at and below `path`; of files without an owner the path alone."""
    at = [] if fold.rows.get(table, owner, path) is None else [path]
    if owner == LOOSE_FILES:  # each lies in the partition of its own path: what is below is not ours to see
        return at
    # "0" follows "/": between the two stand the paths below, and no others.
    below = fold.rows.between(table, "path", path + "/", path + "0", owner=owner)
    return [str(row["path"]) for row in below] + at


def _keep_version(fold: Fold, place: Place, owner: str, path: str, size_bytes: int | None, sha256: str | None) -> None:
    """Note what the path holds from this place in the log on; no hash: nothing."""
    fold.rows.put(
        tables.artifact_versions,
        {
            "owner": owner,
            "path": path,
            "index": place.index,
            "number": place.number,
            "size_bytes": size_bytes,
            "sha256": sha256,
            "stored_us": place.appended_us,
            "actor": place.actor,
        },
    )
