"""Multipart uploads to S3 and copies inside it; under the final key there is nothing or all of it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from botocore.exceptions import ClientError

from mltrail_core.artifacts.s3_bucket import S3Bucket, error_code, is_key_missing, translated
from mltrail_core.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import CompletedPartTypeDef

MIB = 1024 * 1024
MAX_PARTS = 10_000
"""Of S3; with parts of 16 MiB a blob may have 156 GiB."""


class _OnlyIf(TypedDict, total=False):
    """What a copy asks of its source."""

    CopySourceIfMatch: str


@dataclass(frozen=True, slots=True)
class PartSizes:
    """Sizes in bytes that decide how a blob travels; tests take smaller ones. S3 wants parts of at least 5 MiB."""

    small_blob: int = 8 * MIB
    """Up to here one PUT from memory."""
    part: int = 16 * MIB
    """Held in memory per upload, for a moment twice. All parts but the last are equal, which some services demand."""
    copy_part: int = 512 * MIB
    """S3 copies at most 5 GB in one request; smaller pieces keep each answer well inside the read timeout."""


class Multipart:
    """A multipart upload of our own, begun with its first part."""

    def __init__(self, bucket: S3Bucket, key: str) -> None:
        self.key = key
        self._bucket = bucket
        self._upload_id: str | None = None
        self._parts: list[CompletedPartTypeDef] = []
        self._is_complete = False

    @property
    def was_begun(self) -> bool:
        return self._upload_id is not None

    def send(self, body: bytes) -> None:
        number = self._next_number()
        with translated(f"upload part {number} of s3://{self._bucket.name}/{self.key}"):
            done = self._bucket.client.upload_part(
                Bucket=self._bucket.name,
                Key=self.key,
                UploadId=self._begun(),
                PartNumber=number,
                Body=body,
                ContentMD5=base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode(),
            )
        self._parts.append({"PartNumber": number, "ETag": done["ETag"]})

    def copy(self, source_key: str, first: int, last: int, condition: _OnlyIf) -> None:
        """Take bytes `first` to `last`, inclusive, of another key as the next part."""
        number = self._next_number()
        with translated(f"copy s3://{self._bucket.name}/{source_key} to {self.key}"):
            done = self._bucket.client.upload_part_copy(
                Bucket=self._bucket.name,
                Key=self.key,
                UploadId=self._begun(),
                PartNumber=number,
                CopySource={"Bucket": self._bucket.name, "Key": source_key},
                CopySourceRange=f"bytes={first}-{last}",
                **condition,
            )
        self._parts.append({"PartNumber": number, "ETag": done["CopyPartResult"]["ETag"]})

    def complete(self, size_bytes: int) -> None:
        with translated(f"complete s3://{self._bucket.name}/{self.key}"):
            try:
                self._bucket.client.complete_multipart_upload(
                    Bucket=self._bucket.name,
                    Key=self.key,
                    UploadId=self._begun(),
                    MultipartUpload={"Parts": self._parts},
                )
            except ClientError as error:
                # The answer to a first attempt was lost and botocore asked again: then the upload id is gone because
                # the object is there.
                if error_code(error) != "NoSuchUpload" or not self._is_there(size_bytes):
                    raise
        self._is_complete = True

    def remove(self) -> None:
        """Leave nothing under the key."""
        if self._upload_id is None:
            return
        with translated(f"remove the unfinished s3://{self._bucket.name}/{self.key}"):
            if self._is_complete:
                self._bucket.client.delete_object(Bucket=self._bucket.name, Key=self.key)
            else:
                abort_multipart(self._bucket, self.key, self._upload_id)
        self._upload_id = None

    def _begun(self) -> str:
        if self._upload_id is None:
            begun = self._bucket.client.create_multipart_upload(Bucket=self._bucket.name, Key=self.key)
            self._upload_id = begun["UploadId"]
        return self._upload_id

    def _next_number(self) -> int:
        number = len(self._parts) + 1
        if number > MAX_PARTS:
            raise Invalid(f"an artifact on S3 may have {MAX_PARTS:,} parts and this one needs more; split the file")
        return number

    def _is_there(self, size_bytes: int) -> bool:
        try:
            answer = self._bucket.client.head_object(Bucket=self._bucket.name, Key=self.key)
        except ClientError as error:
            if not is_key_missing(error):
                raise
            return False
        return answer["ContentLength"] == size_bytes


def abort_multipart(bucket: S3Bucket, key: str, upload_id: str) -> bool:
    """Drop a multipart upload and return whether there was one still."""
    try:
        bucket.client.abort_multipart_upload(Bucket=bucket.name, Key=key, UploadId=upload_id)
    except ClientError as error:
        if error_code(error) != "NoSuchUpload":
            raise
        return False
    return True


def copy_object(
    bucket: S3Bucket, source_key: str, key: str, size_bytes: int, part_bytes: int, etag: str | None = None
) -> None:
    """Return once `key` holds the bytes of `source_key`, copied inside S3; only while these have `etag`, if given.

    Raises:
        Conflict: the source holds other bytes than `etag` names.
    """
    condition: _OnlyIf = {} if etag is None else {"CopySourceIfMatch": etag}
    if size_bytes <= part_bytes:
        with translated(f"copy s3://{bucket.name}/{source_key} to {key}"):
            bucket.client.copy_object(
                Bucket=bucket.name, Key=key, CopySource={"Bucket": bucket.name, "Key": source_key}, **condition
            )
        return
    target = Multipart(bucket, key)
    try:
        for first in range(0, size_bytes, part_bytes):
            target.copy(source_key, first, min(first + part_bytes, size_bytes) - 1, condition)
        target.complete(size_bytes)
    except BaseException as error:
        try:
            target.remove()
        except Unavailable as failure:
            error.add_note(f"its unfinished copy stays until it is swept: {failure}")
        raise
