"""Events of uploads past the server; they go to the partition of the artifact that the upload is to become.

The log knows of an upload before any URL for it exists, and of its end before its bytes are removed: so nothing lies
in the store that nobody knows of, and nothing is removed that was acknowledged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

MULTIPART, PUT = UPLOAD_METHODS = ("multipart", "put")


@dataclass(frozen=True, slots=True)
class ArtifactUploadBegan:
    """Emitted before clients are given URLs: what they bring as `upload_id` (32 hex digits) is meant for `path`.

    Attributes:
        method: `multipart`: parts, put together when the client says so; `put`: one file, found when it is there.
        expires_us: when the last URL ends, µs UTC.
    """

    WIRE_NAME: ClassVar[str] = "artifact_upload_began"
    occurred_us: int
    owner: str
    path: str
    upload_id: str
    method: str
    expires_us: int


@dataclass(frozen=True, slots=True)
class ArtifactUploaded:
    """Emitted once the store holds the whole upload: `path` shows it from now on, though nobody has hashed it.

    Said again with another `etag`, the store's word for the content, it was replaced before it was hashed.
    """

    WIRE_NAME: ClassVar[str] = "artifact_uploaded"
    occurred_us: int
    owner: str
    path: str
    upload_id: str
    size_bytes: int
    etag: str
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class ArtifactVerified:
    """Emitted by a job that hashed the upload, once its bytes are durable under `sha256`: it counts as stored."""

    WIRE_NAME: ClassVar[str] = "artifact_verified"
    occurred_us: int
    owner: str
    path: str
    upload_id: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ArtifactUploadAbandoned:
    """Emitted when a client aborts, and by a job long after the URLs ended: nothing comes of the upload any more.

    Rejected once the upload is whole. Its bytes are removed only when this was accepted.
    """

    WIRE_NAME: ClassVar[str] = "artifact_upload_abandoned"
    occurred_us: int
    owner: str
    path: str
    upload_id: str
