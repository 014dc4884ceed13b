"""How an object in S3, or a range of it, is streamed in constant memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypedDict

from botocore.exceptions import BotoCoreError, ClientError
from botocore.response import StreamingBody
from urllib3.exceptions import HTTPError

from mltrail_core.artifacts import BlobStream, byte_range
from mltrail_core.artifacts.s3_bucket import S3Bucket, error_code, translated
from mltrail_core.errors import Unavailable

READ_BYTES = 1024 * 1024
MAX_READ_FAILURES = 3
"""How often in a row a download is resumed where it broke off before the reader is told."""


def open_object(
    bucket: S3Bucket, key: str, start: int, end: int | None, *, missing: str, may_change: bool = False
) -> BlobStream:
    """Stream bytes `start` up to but without `end` of an object; a connection that breaks is resumed where it broke.

    `may_change` says that other bytes may be put under the key meanwhile: then it is not resumed with those.

    Raises:
        NotFound: there is no such key; `missing` is the message.
        Invalid: the range is negative, backwards or begins past the end.
    """
    if start < 0 or (end is not None and end <= start):
        return _empty_stream(bucket, key, start, end, missing)
    with translated(f"read s3://{bucket.name}/{key}", missing=missing):
        try:
            if (start, end) == (0, None):
                answer = bucket.client.get_object(Bucket=bucket.name, Key=key)
            else:
                last = "" if end is None else end - 1
                answer = bucket.client.get_object(Bucket=bucket.name, Key=key, Range=f"bytes={start}-{last}")
        except ClientError as error:
            if error_code(error) != "InvalidRange":
                raise
            return _empty_stream(bucket, key, start, end, missing)
    total = answer.get("ContentRange", "").rpartition("/")[2]
    size = int(total) if total else answer["ContentLength"]
    start, end = byte_range(size, start, end)
    etag = answer["ETag"] if may_change else None
    chunks = _ResumingReader(bucket, key, etag, answer["Body"], start, end)
    return BlobStream(size_bytes=size, start=start, end=end, chunks=chunks, on_close=chunks.close)


def _empty_stream(bucket: S3Bucket, key: str, start: int, end: int | None, missing: str) -> BlobStream:
    """Answer a range without bytes, for which HTTP has no words; `Invalid` unless it lies within the object."""
    with translated(f"look up s3://{bucket.name}/{key}", missing=missing):
        size = bucket.client.head_object(Bucket=bucket.name, Key=key)["ContentLength"]
    start, end = byte_range(size, start, end)
    return BlobStream(size_bytes=size, start=start, end=end, chunks=iter(()), on_close=lambda: None)


class _OnlyIf(TypedDict, total=False):
    """What a read asks of the object."""

    IfMatch: str


class _ResumingReader(Iterator[bytes]):
    """The bytes `start` to `end` of an object; botocore repeats requests, but not the reading of an answer's body."""

    def __init__(self, bucket: S3Bucket, key: str, etag: str | None, body: StreamingBody, start: int, end: int) -> None:
        self._bucket = bucket
        self._key = key
        self._etag = etag
        self._body = body
        self._position = start
        self._end = end
        self._failures = 0

    def __next__(self) -> bytes:
        while self._position < self._end:
            try:
                chunk = self._body.read(min(READ_BYTES, self._end - self._position))
                if not chunk:
                    raise HTTPError(f"the body ended {self._end - self._position} bytes early")
            except (BotoCoreError, HTTPError) as error:
                self._failures += 1
                if self._failures > MAX_READ_FAILURES:
                    raise Unavailable(
                        f"reading s3://{self._bucket.name}/{self._key} broke off again: {error}"
                    ) from error
                self._reopen()
                continue
            self._failures = 0
            self._position += len(chunk)
            return chunk
        raise StopIteration

    def close(self) -> None:
        self._body.close()

    def _reopen(self) -> None:
        self._body.close()
        condition: _OnlyIf = {} if self._etag is None else {"IfMatch": self._etag}
        with translated(
            f"resume s3://{self._bucket.name}/{self._key} at byte {self._position}",
            missing=f"s3://{self._bucket.name}/{self._key} was deleted while it was read",
        ):
            self._body = self._bucket.client.get_object(
                Bucket=self._bucket.name,
                Key=self._key,
                Range=f"bytes={self._position}-{self._end - 1}",
                **condition,
            )["Body"]
