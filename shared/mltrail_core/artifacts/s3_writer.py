"""One upload to S3 in constant memory: the hash, which is the final key, is known only after the last byte.

A small blob waits in memory and is one PUT under its hash, which S3 checks. A larger one goes as a multipart upload to
a temporary key and is copied to its hash inside S3: no local disk is needed, bytes travel once, and under the final key
there is nothing or all of it, because a PUT, a copy and the completion of a multipart copy are each atomic.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import uuid

from mltrail_core.artifacts import Blob, BlobWriter, Sha256
from mltrail_core.artifacts.s3_bucket import S3Bucket, translated
from mltrail_core.artifacts.s3_multipart import Multipart, PartSizes, copy_object
from mltrail_core.errors import Unavailable

logger = logging.getLogger(__name__)


class S3Writer(BlobWriter):
    """Sends a part whenever one is full, from the thread that writes, so that a slow store slows its writer down."""

    def __init__(self, bucket: S3Bucket, sizes: PartSizes) -> None:
        self._bucket = bucket
        self._sizes = sizes
        self._hash = hashlib.sha256()
        self._size_bytes = 0
        self._buffer = bytearray()
        self._temporary = Multipart(bucket, bucket.unfinished_prefix + uuid.uuid4().hex)
        self._is_open = True

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self._expect_open()
        self._hash.update(chunk)
        left = memoryview(chunk).cast("B")
        self._size_bytes += len(left)
        while left:
            taken = self._sizes.part - len(self._buffer)
            self._buffer += left[:taken]
            left = left[taken:]
            if len(self._buffer) == self._sizes.part:
                self._send_part()

    def commit(self) -> Blob:
        self._expect_open()
        digest = self._hash.digest()
        key = self._bucket.blobs_prefix + digest.hex()
        if not self._temporary.was_begun and len(self._buffer) <= self._sizes.small_blob:
            with translated(f"put {self._size_bytes} bytes as s3://{self._bucket.name}/{key}"):
                self._bucket.client.put_object(
                    Bucket=self._bucket.name,
                    Key=key,
                    Body=bytes(self._buffer),
                    ChecksumSHA256=base64.b64encode(digest).decode(),
                )
        else:
            if self._buffer:
                self._send_part()
            self._temporary.complete(self._size_bytes)
            # Copied even if the key is there already: the same bytes, and a new time of writing, which tells a garbage
            # collector that somebody wants them.
            copy_object(self._bucket, self._temporary.key, key, self._size_bytes, self._sizes.copy_part)
            try:
                self._temporary.remove()
            except Unavailable as error:
                # The blob is durable and that is what was asked; sweep_unfinished removes the rest.
                logger.warning(
                    "temporary upload stays until swept: %s", error, extra={"action": "artifact_sweep_needed"}
                )
        self._is_open = False
        self._buffer = bytearray()
        return Blob(Sha256(digest.hex()), self._size_bytes)

    def abort(self) -> None:
        if self._is_open:
            self._is_open = False
            self._buffer = bytearray()
            self._temporary.remove()

    def _send_part(self) -> None:
        body = bytes(self._buffer)
        self._buffer = bytearray()
        self._temporary.send(body)

    def _expect_open(self) -> None:
        if not self._is_open:
            raise ValueError("this upload was committed or aborted; begin another with writer()")
