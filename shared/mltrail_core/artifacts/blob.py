"""Blobs: bytes that are durable in an artifact store under their SHA-256, and how they are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import NewType, Self

from mltrail_core.errors import Invalid

Sha256 = NewType("Sha256", str)
"""64 lower-case hex digits."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes that are durable in a store."""

    sha256: Sha256
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob as the store lists it; `stored_us` is when it was last put (µs UTC, the store's clock).

    Putting content that is already there renews `stored_us`, so a garbage collector that spares young blobs spares
    those whose event is about to be appended.
    """

    sha256: Sha256
    size_bytes: int
    stored_us: int


class BlobStream:
    """The bytes of a blob or of a range of it, in order, in chunks of at most 1 MiB; close it or use it in a `with`.

    Iterating raises `Unavailable` when the store fails on the way.

    Attributes:
        size_bytes: size of the whole blob, whatever the range.
        start: first byte that is streamed.
        end: the byte after the last that is streamed.
    """

    def __init__(
        self, *, size_bytes: int, start: int, end: int, chunks: Iterator[bytes], on_close: Callable[[], None]
    ) -> None:
        self.size_bytes = size_bytes
        self.start = start
        self.end = end
        self._chunks = chunks
        self._on_close = on_close

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def read(self) -> bytes:
        """Return all that is left, in memory: for small blobs."""
        return b"".join(self._chunks)

    def close(self) -> None:
        """Release file or connection; idempotent."""
        self._on_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def is_sha256(text: str) -> bool:
    """Return whether `text` is 64 lower-case hex digits."""
    return _SHA256.fullmatch(text) is not None


def parse_sha256(text: str) -> Sha256:
    """Return `text` as a hash; `Invalid` unless it is 64 lower-case hex digits, so that it stays in the folder."""
    if not is_sha256(text):
        raise Invalid(f"{text[:80]!r} is not a SHA-256; expected 64 lower-case hex digits")
    return Sha256(text)


def byte_range(size_bytes: int, start: int, end: int | None) -> tuple[int, int]:
    """Return the range cut to the blob's size; `Invalid` when it is negative, backwards or begins past the end."""
    last = size_bytes if end is None else min(end, size_bytes)
    if start < 0 or start > size_bytes or (end is not None and end < start):
        raise Invalid(
            f"bytes {start} to {end} are not a range of a blob of {size_bytes} bytes; expected 0 <= start <= end"
        )
    return start, last
