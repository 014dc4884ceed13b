"""Events of artifacts; they go to the partition of their owner (a run id, a logged model's id, or `files`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

LOOSE_FILES = "files"
"""The owner of artifacts that belong to no run or logged model: `mlflow-artifacts:/` paths of any other form."""


@dataclass(frozen=True, slots=True)
class ArtifactStored:
    """Emitted after the bytes are durable in the artifact store: `path` of `owner` now holds the blob `sha256`.

    A path stored again shows the new blob; the old one stays in its history. `path` is relative, `/`-separated.
    """

    WIRE_NAME: ClassVar[str] = "artifact_stored"
    occurred_us: int
    owner: str
    path: str
    size_bytes: int
    sha256: str
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class ArtifactDeleted:
    """Emitted by the artifact API's delete: `path`, and everything below it, is no longer shown. Blobs stay for gc.

    Of `files` only the path itself: each of them stands in a partition of its own.
    """

    WIRE_NAME: ClassVar[str] = "artifact_deleted"
    occurred_us: int
    owner: str
    path: str
