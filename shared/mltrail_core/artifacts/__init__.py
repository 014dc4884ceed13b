"""ArtifactStore: the port through which API, SDK and jobs keep the bytes of artifacts, each content once, by its hash.

A run's path to a blob is an event in the log, appended only after `BlobWriter.commit` has returned; the store knows no
runs. Adapters: `folder` (embedded, SDK) and `s3` (imported only for an s3:// URL, since the SDK does not carry boto3).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import unquote, urlsplit

from mltrail_core.artifacts.blob import (
    Blob,
    BlobStream,
    Sha256,
    StoredBlob,
    byte_range,
    is_sha256,
    parse_sha256,
)
from mltrail_core.artifacts.direct import DirectTransfer
from mltrail_core.errors import Invalid, NotFound, Unavailable

__all__ = [
    "NO_CLIENTS",
    "ArtifactStore",
    "Blob",
    "BlobStream",
    "BlobWriter",
    "DirectTransfer",
    "Sha256",
    "StoredBlob",
    "byte_range",
    "is_sha256",
    "open_artifact_store",
    "parse_sha256",
]

BLOBS = "blobs/sha256"
"""Where finished blobs lie below the root of every store; the last part of the name is the hash."""
UNFINISHED = "unfinished"
"""Where bytes lie under a random name until their hash is known."""


NO_CLIENTS = "none"
"""Said in place of a URL where clients can't reach the store's service."""


class BlobWriter(Protocol):
    """An upload whose chunks arrive over time; in a `with`, leaving without `commit` aborts.

    It may be used from any thread, by one at a time. Nobody sees any of its bytes before `commit`. After `commit` or
    `abort` every call but `abort` raises ValueError.
    """

    @property
    @abstractmethod
    def size_bytes(self) -> int:
        """How many bytes were written so far."""

    @abstractmethod
    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take the next bytes, of any number.

        Raises:
            Unavailable: the store can't be written; abort and begin again later.
        """

    @abstractmethod
    def commit(self) -> Blob:
        """Return once all bytes are durable under their hash, whether or not they were there before.

        Raises:
            Unavailable: it could not be done; the upload is lost and is to be begun again.
        """

    @abstractmethod
    def abort(self) -> None:
        """Drop what was written; idempotent, and does nothing after `commit`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.abort()
        except Unavailable as failure:
            if error is None:
                raise
            error.add_note(f"its unfinished upload stays until it is swept: {failure}")  # `error` is what matters


class ArtifactStore(Protocol):
    """Blobs by SHA-256, shared by threads and by processes. Every method raises `Unavailable` when the store fails."""

    @property
    @abstractmethod
    def url(self) -> str:
        """What `open_artifact_store` opens this store by; it carries no secret."""

    @property
    @abstractmethod
    def direct(self) -> DirectTransfer | None:
        """How clients bring and fetch bytes past the server; None where there is no such way, as with a folder."""

    @abstractmethod
    def writer(self) -> BlobWriter:
        """Begin an upload in constant memory."""

    def put(self, chunks: Iterable[bytes]) -> Blob:
        """Store what `chunks` yields and return its hash and size once it is durable, in constant memory.

        When the iterable raises, nothing is kept.
        """
        with self.writer() as writer:
            for chunk in chunks:
                writer.write(chunk)
            return writer.commit()

    @abstractmethod
    def open(self, sha256: str, start: int = 0, end: int | None = None) -> BlobStream:
        """Stream bytes `start` up to but without `end` (None or past the end: the end) in constant memory.

        Raises:
            NotFound: no such blob.
            Invalid: `sha256` is no hash, or the range is negative, backwards or begins past the end.
        """

    @abstractmethod
    def stat(self, sha256: str) -> StoredBlob:
        """Return size and age of a blob; `NotFound` when it is not there."""

    def exists(self, sha256: str) -> bool:
        """Return whether the blob is there."""
        try:
            self.stat(sha256)
        except NotFound:
            return False
        return True

    @abstractmethod
    def delete(self, sha256: str) -> None:
        """Remove a blob; nothing happens when it is not there.

        The store does not know who refers to it: the caller must, also with regard to uploads going on.
        """

    @abstractmethod
    def list(self) -> Iterator[StoredBlob]:
        """Yield every blob, in no particular order; those put or deleted meanwhile may or may not be among them."""

    @abstractmethod
    def check(self) -> None:
        """Return when the store can be reached and written; otherwise `Unavailable` says what to do."""

    @abstractmethod
    def sweep_unfinished(self, older_than_s: float) -> int:
        """Remove uploads that got no byte for `older_than_s` seconds and return how many.

        They come from writers whose process ended. One that is still alive loses its upload and gets `Unavailable` at
        its next call, so take hours, not seconds.
        """

    @abstractmethod
    def close(self) -> None:
        """Release connections; idempotent."""


def open_artifact_store(url: str, *, client_url: str | None = None) -> ArtifactStore:
    """Return the store that `url` names; it is not reached yet, `check` does that.

    Args:
        url: a folder's path, `file:///folder`, or `s3://bucket/prefix`. Endpoint, region and credentials of S3 come
            from where boto3 looks for them: AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, AWS_DEFAULT_REGION,
            AWS_ACCESS_KEY_ID …
        client_url: the address by which clients reach the service of S3: `http://…` or `https://…`, None when it is the
            one that this process uses, "none" when they can't reach it. A folder knows no clients.

    Raises:
        Invalid: the URL names no kind of store that mltrail knows, or lacks a bucket or folder.
    """
    scheme, separator, _ = url.partition("://")
    if separator and scheme == "s3":
        from mltrail_core.artifacts.s3 import S3ArtifactStore

        parts = urlsplit(url)
        return S3ArtifactStore(parts.netloc, unquote(parts.path).strip("/"), client_url=client_url)

    from mltrail_core.artifacts.folder import FolderArtifactStore

    if not separator:
        return FolderArtifactStore(url)
    if scheme == "file" and urlsplit(url).netloc in ("", "localhost"):
        return FolderArtifactStore(unquote(urlsplit(url).path))
    raise Invalid(f"artifacts URL {url!r} is not understood; expected a folder, file:///folder or s3://bucket/prefix")
