"""DirectTransfer: bytes that clients bring to and fetch from the store itself, by URLs that the store signed.

What comes this way is not hashed on the way: it lies under the id of its upload, apart from the blobs, until `adopt`
has hashed it. What becomes of an upload is in the log; the store only keeps its bytes.
"""

from __future__ import annotations

import re
import secrets
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NewType, Protocol

from mltrail_core.artifacts.blob import Blob, BlobStream
from mltrail_core.errors import Invalid

UPLOADS = "uploads"
"""Where what clients brought lies below the root of a store, by the id of its upload, until it is hashed."""
MAX_UPLOAD_PARTS = 10_000
"""Of S3."""

UploadId = NewType("UploadId", str)
"""32 lower-case hex digits."""

_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """A URL that everybody who has it may use until it ends, and the headers that have to be sent with it."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UploadedPart:
    """One part of a multipart upload, as the store's answer to it named it."""

    number: int
    etag: str


@dataclass(frozen=True, slots=True)
class UploadedObject:
    """What lies under the id of an upload. `etag` is the store's word for this very content."""

    size_bytes: int
    etag: str


@dataclass(frozen=True, slots=True)
class SavedAs:
    """What the answer to a download by URL says of the file: what it is called and what it is."""

    disposition: str
    media_type: str


class DirectTransfer(Protocol):
    """Uploads and downloads past the server. Every method raises `Unavailable` when the store fails.

    URLs are signed without asking the store. `key` is the store's own name of a multipart upload under way.
    """

    @property
    @abstractmethod
    def reaches_clients(self) -> bool:
        """Whether clients can use the URLs; if not, none is to be given to them."""

    @abstractmethod
    def begin_multipart(self, upload_id: UploadId) -> str:
        """Begin a multipart upload and return its key."""

    @abstractmethod
    def sign_parts(self, upload_id: UploadId, key: str, count: int, lasts_s: int) -> list[SignedUrl]:
        """Return a URL to PUT each of the parts 1 to `count` to."""

    @abstractmethod
    def complete_multipart(self, upload_id: UploadId, key: str, parts: Sequence[UploadedPart]) -> None:
        """Make one object of the parts; nothing happens when an earlier call did it and its answer was lost.

        Raises:
            Invalid: a part is not there, is another, is too small, or they are out of order.
            NotFound: no such upload is under way.
        """

    @abstractmethod
    def sign_put(self, upload_id: UploadId, media_type: str, lasts_s: int) -> SignedUrl:
        """Return a URL to PUT a whole file to, any number of times while it lasts; the last one counts."""

    @abstractmethod
    def stat_upload(self, upload_id: UploadId) -> UploadedObject:
        """Return what lies under the id; `NotFound` when nothing does, or not yet."""

    @abstractmethod
    def open_upload(self, upload_id: UploadId, start: int = 0, end: int | None = None) -> BlobStream:
        """Stream what lies under the id, or a range of it, as `ArtifactStore.open` does a blob."""

    @abstractmethod
    def adopt(self, upload_id: UploadId, etag: str, should_stop: Callable[[], bool] = lambda: False) -> Blob | None:
        """Hash the upload and return the blob that holds the same bytes, once it is durable; None when told to stop.

        The bytes under the id stay, until `discard`. Repeating it does no harm.

        Raises:
            NotFound: nothing lies under the id.
            Conflict: the content is not, or while it was hashed was no longer, the one that `etag` names.
        """

    @abstractmethod
    def discard(self, upload_id: UploadId) -> None:
        """Leave nothing under the id, finished or under way; nothing happens when nothing is there."""

    @abstractmethod
    def list_uploads(self) -> Iterator[UploadId]:
        """Yield the id of everything that lies or is under way under one, each once or more, in no order."""

    @abstractmethod
    def sign_blob(self, sha256: str, saved_as: SavedAs, lasts_s: int) -> SignedUrl:
        """Return a URL to GET a blob, or ranges of it, by."""

    @abstractmethod
    def sign_upload(self, upload_id: UploadId, saved_as: SavedAs, lasts_s: int) -> SignedUrl:
        """Return a URL to GET what lies under the id, or ranges of it, by."""


def new_upload_id() -> UploadId:
    """Return a fresh random id of an upload."""
    return UploadId(secrets.token_hex(16))


def parse_upload_id(text: str) -> UploadId:
    """Return `text` as the id of an upload; `Invalid` unless it is 32 lower-case hex digits."""
    if not _UPLOAD_ID.fullmatch(text):
        raise Invalid(f"{text[:80]!r} is no id of an upload; expected 32 lower-case hex digits")
    return UploadId(text)
