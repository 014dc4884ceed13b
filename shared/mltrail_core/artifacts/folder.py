"""Artifacts in a local folder: the embedded server's store, and that of an SDK that writes without a server.

<root>/blobs/sha256/<hash>     finished, never changed
<root>/unfinished/<random>     being written
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mltrail_core.artifacts import (
    BLOBS,
    UNFINISHED,
    ArtifactStore,
    Blob,
    BlobStream,
    BlobWriter,
    Sha256,
    StoredBlob,
    byte_range,
    is_sha256,
    parse_sha256,
)
from mltrail_core.errors import Invalid, NotFound, Unavailable

READ_BYTES = 1024 * 1024


class FolderArtifactStore(ArtifactStore):
    """Blobs as files below `root`, which is made when it is first written to."""

    def __init__(self, root: str | Path) -> None:
        if not str(root):
            raise Invalid("the artifacts folder is empty; expected a path")
        self._root = Path(root).absolute()
        self._blobs = self._root / BLOBS
        self._unfinished = self._root / UNFINISHED

    @property
    def url(self) -> str:
        """The folder as a file:// URL."""
        return self._root.as_uri()

    @property
    def direct(self) -> None:
        """None: nobody but this machine's processes can reach a folder."""

    def writer(self) -> BlobWriter:
        """Begin an upload into a temporary file."""
        with _unavailable_on_oserror(f"begin an upload in {self._root}"):
            self._make_folders()
            return _FolderWriter(self._blobs, self._unfinished / uuid.uuid4().hex)

    def open(self, sha256: str, start: int = 0, end: int | None = None) -> BlobStream:
        """Stream a blob or a range of it."""
        path = self._path(sha256)
        with _unavailable_on_oserror(f"read {path}"), self._not_found(sha256):
            file = path.open("rb", buffering=0)
        try:
            size = os.fstat(file.fileno()).st_size
            start, end = byte_range(size, start, end)
            file.seek(start)
        except BaseException:
            file.close()
            raise
        return BlobStream(
            size_bytes=size, start=start, end=end, chunks=_read_chunks(file, path, end - start), on_close=file.close
        )

    def stat(self, sha256: str) -> StoredBlob:
        """Return size and age of a blob."""
        path = self._path(sha256)
        with _unavailable_on_oserror(f"look up {path}"), self._not_found(sha256):
            return _stored_blob(path.name, path.stat())

    def delete(self, sha256: str) -> None:
        """Unlink a blob. Not fsynced: one that comes back after a power cut is found again by the next collection."""
        path = self._path(sha256)
        with _unavailable_on_oserror(f"delete {path}"):
            path.unlink(missing_ok=True)

    def list(self) -> Iterator[StoredBlob]:
        """Yield every blob, in the order of the directory."""
        with _unavailable_on_oserror(f"list {self._blobs}"):
            for entry in _entries(self._blobs):
                if not is_sha256(entry.name):
                    continue  # what file systems and desktops leave in folders
                with contextlib.suppress(FileNotFoundError):  # deleted since the directory was read
                    yield _stored_blob(entry.name, entry.stat())

    def check(self) -> None:
        """Write, fsync and remove a small file."""
        probe = self._unfinished / f"check-{uuid.uuid4().hex}"
        with _unavailable_on_oserror(f"write to the artifacts folder {self._root}"):
            self._make_folders()
            try:
                with probe.open("xb", buffering=0) as file:
                    file.write(b"mltrail")
                    os.fsync(file.fileno())
            finally:
                probe.unlink(missing_ok=True)

    def sweep_unfinished(self, older_than_s: float) -> int:
        """Unlink temporary files that were not written to for `older_than_s` seconds."""
        written_before = time.time() - older_than_s
        swept = 0
        with _unavailable_on_oserror(f"sweep {self._unfinished}"):
            for entry in _entries(self._unfinished):
                with contextlib.suppress(FileNotFoundError):  # its writer was quicker
                    if entry.stat().st_mtime <= written_before:
                        os.unlink(entry.path)
                        swept += 1
        return swept

    def close(self) -> None:
        """Nothing is held between calls."""

    def _path(self, sha256: str) -> Path:
        return self._blobs / parse_sha256(sha256)

    @contextlib.contextmanager
    def _not_found(self, sha256: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise NotFound(f"no artifact with SHA-256 {sha256} in {self._root}") from error

    def _make_folders(self) -> None:
        if self._blobs.is_dir() and self._unfinished.is_dir():
            return
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._unfinished.mkdir(exist_ok=True)
        # The entries of new folders have to be durable too, or the first blobs vanish with them in a power cut.
        for folder in (self._blobs.parent, self._root, self._root.parent):
            _fsync_folder(folder)


class _FolderWriter(BlobWriter):
    """Hashes while it writes a temporary file; commit fsyncs and renames it to its hash."""

    def __init__(self, blobs: Path, temporary: Path) -> None:
        self._blobs = blobs
        self._temporary = temporary
        self._hash = hashlib.sha256()
        self._size_bytes = 0
        self._file: BinaryIO | None = temporary.open("xb", buffering=0)

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        file = self._open_file()
        self._hash.update(chunk)
        left = memoryview(chunk).cast("B")
        self._size_bytes += len(left)
        with _unavailable_on_oserror(f"write {self._size_bytes} bytes to {self._temporary}"):
            while left:
                left = left[file.write(left) :]

    def commit(self) -> Blob:
        file = self._open_file()
        sha256 = Sha256(self._hash.hexdigest())
        with _unavailable_on_oserror(f"finish {self._temporary} as {sha256}"):
            try:
                os.fsync(file.fileno())
                # Replaces without looking: the same name is the same bytes, and the new time of writing tells a garbage
                # collector that somebody wants them.
                os.replace(self._temporary, self._blobs / sha256)
                _fsync_folder(self._blobs)
            except BaseException:
                self.abort()
                raise
        file.close()
        self._file = None
        return Blob(sha256, self._size_bytes)

    def abort(self) -> None:
        if self._file is None:
            return
        self._file.close()
        self._file = None
        with _unavailable_on_oserror(f"remove {self._temporary}"):
            self._temporary.unlink(missing_ok=True)

    def _open_file(self) -> BinaryIO:
        if self._file is None:
            raise ValueError("this upload was committed or aborted; begin another with writer()")
        return self._file


@contextlib.contextmanager
def _unavailable_on_oserror(action: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise Unavailable(f"cannot {action}: the file is gone; was its upload swept, or the folder removed?") from error
    except OSError as error:
        raise Unavailable(f"cannot {action}: {error.strerror or error}; check space, permissions and mount") from error


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except FileNotFoundError:
        return  # nothing was ever written


def _stored_blob(name: str, status: os.stat_result) -> StoredBlob:
    return StoredBlob(Sha256(name), status.st_size, status.st_mtime_ns // 1_000)


def _read_chunks(file: BinaryIO, path: Path, size_bytes: int) -> Iterator[bytes]:
    with _unavailable_on_oserror(f"read {path}"):
        while size_bytes > 0:
            chunk = file.read(min(READ_BYTES, size_bytes))
            if not chunk:
                raise Unavailable(f"{path} ends {size_bytes} bytes early; it was cut after it was stored, restore it")
            size_bytes -= len(chunk)
            yield chunk


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
