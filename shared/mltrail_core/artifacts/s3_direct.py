"""Transfers between clients and S3 by presigned URLs, and how what came that way becomes a blob."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from mltrail_core.artifacts.blob import Blob, BlobStream, Sha256, parse_sha256
from mltrail_core.artifacts.direct import (
    DirectTransfer,
    SavedAs,
    SignedUrl,
    UploadedObject,
    UploadedPart,
    UploadId,
    parse_upload_id,
)
from mltrail_core.artifacts.s3_bucket import S3Bucket, error_code, translated
from mltrail_core.artifacts.s3_multipart import PartSizes, abort_multipart, copy_object
from mltrail_core.artifacts.s3_reader import open_object
from mltrail_core.errors import Conflict, Invalid

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_WRONG_PARTS = {
    "InvalidPart": "a part was not uploaded, or its ETag is not the one that the upload of the part was answered with",
    "InvalidPartOrder": "the parts are not in ascending order",
    "EntityTooSmall": "a part other than the last is smaller than the store takes (5 MiB)",
    "MalformedXML": "the list of parts can't be read",
    "InvalidRequest": "the list of parts is not one",
}


class S3DirectTransfer(DirectTransfer):
    """Uploads as objects `<prefix>/uploads/<id>`.

    `signer` signs for the address that clients reach the service by; None when there is none.
    """

    def __init__(self, bucket: S3Bucket, signer: S3Client | None, sizes: PartSizes) -> None:
        self._bucket = bucket
        self._signer = signer or bucket.client
        self._reaches_clients = signer is not None
        self._sizes = sizes

    @property
    def reaches_clients(self) -> bool:
        """Whether there is an address that clients reach the service by."""
        return self._reaches_clients

    def begin_multipart(self, upload_id: UploadId) -> str:
        """Begin a multipart upload; its key is S3's upload id."""
        key = self._key(upload_id)
        with translated(f"begin an upload to s3://{self._bucket.name}/{key}"):
            return self._bucket.client.create_multipart_upload(Bucket=self._bucket.name, Key=key)["UploadId"]

    def sign_parts(self, upload_id: UploadId, key: str, count: int, lasts_s: int) -> list[SignedUrl]:
        """Sign a PUT of each part."""
        place = {"Bucket": self._bucket.name, "Key": self._key(upload_id), "UploadId": key}
        return [
            SignedUrl(self._sign("upload_part", {**place, "PartNumber": number}, lasts_s))
            for number in range(1, count + 1)
        ]

    def complete_multipart(self, upload_id: UploadId, key: str, parts: Sequence[UploadedPart]) -> None:
        """Let S3 check the parts and put them together."""
        object_key = self._key(upload_id)
        with translated(f"complete the upload to s3://{self._bucket.name}/{object_key}"):
            try:
                self._bucket.client.complete_multipart_upload(
                    Bucket=self._bucket.name,
                    Key=object_key,
                    UploadId=key,
                    MultipartUpload={"Parts": [{"PartNumber": part.number, "ETag": part.etag} for part in parts]},
                )
            except ClientError as error:
                if error_code(error) in _WRONG_PARTS:
                    raise Invalid(f"the upload can't be completed: {_WRONG_PARTS[error_code(error)]}") from error
                if not self._is_under_way(object_key, key):
                    self.stat_upload(upload_id)  # there already: the answer to an earlier call was lost
                    return
                raise

    def sign_put(self, upload_id: UploadId, media_type: str, lasts_s: int) -> SignedUrl:
        """Sign a PUT that has to send the media type."""
        place = {"Bucket": self._bucket.name, "Key": self._key(upload_id), "ContentType": media_type}
        return SignedUrl(self._sign("put_object", place, lasts_s), {"Content-Type": media_type})

    def stat_upload(self, upload_id: UploadId) -> UploadedObject:
        """Return size and ETag of the upload's object."""
        key = self._key(upload_id)
        with translated(f"look up s3://{self._bucket.name}/{key}", missing=self._missing(upload_id)):
            answer = self._bucket.client.head_object(Bucket=self._bucket.name, Key=key)
        return UploadedObject(answer["ContentLength"], answer["ETag"])

    def open_upload(self, upload_id: UploadId, start: int = 0, end: int | None = None) -> BlobStream:
        """Stream the upload's object or a range of it."""
        key = self._key(upload_id)
        return open_object(self._bucket, key, start, end, missing=self._missing(upload_id), may_change=True)

    def adopt(self, upload_id: UploadId, etag: str, should_stop: Callable[[], bool] = lambda: False) -> Blob | None:
        """Hash the upload's object and copy it to its hash inside S3, on condition that it has not changed."""
        self._expect(upload_id, etag)
        digest, size_bytes = hashlib.sha256(), 0
        with self.open_upload(upload_id) as stream:
            for chunk in stream:
                if should_stop():
                    return None
                digest.update(chunk)
                size_bytes += len(chunk)
        self._expect(upload_id, etag)
        blob = Blob(Sha256(digest.hexdigest()), size_bytes)
        target = self._bucket.blobs_prefix + blob.sha256
        copy_object(self._bucket, self._key(upload_id), target, size_bytes, self._sizes.copy_part, etag)
        return blob

    def discard(self, upload_id: UploadId) -> None:
        """Abort the upload's multipart upload and delete its object."""
        client, name, key = self._bucket.client, self._bucket.name, self._key(upload_id)
        with translated(f"remove s3://{name}/{key}"):
            for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=name, Prefix=key):
                for upload in page.get("Uploads", ()):
                    abort_multipart(self._bucket, upload["Key"], upload["UploadId"])
            client.delete_object(Bucket=name, Key=key)

    def list_uploads(self) -> Iterator[UploadId]:
        """Yield what lies below `uploads/`, then what is under way there, 1,000 a request."""
        client, name, prefix = self._bucket.client, self._bucket.name, self._bucket.uploads_prefix
        with translated(f"list s3://{name}/{prefix}"):
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=prefix):
                for item in page.get("Contents", ()):
                    yield from _upload_ids(item["Key"].removeprefix(prefix))
            for uploads in client.get_paginator("list_multipart_uploads").paginate(Bucket=name, Prefix=prefix):
                for upload in uploads.get("Uploads", ()):
                    yield from _upload_ids(upload["Key"].removeprefix(prefix))

    def sign_blob(self, sha256: str, saved_as: SavedAs, lasts_s: int) -> SignedUrl:
        """Sign a GET of a blob's object."""
        return self._sign_get(self._bucket.blobs_prefix + parse_sha256(sha256), saved_as, lasts_s)

    def sign_upload(self, upload_id: UploadId, saved_as: SavedAs, lasts_s: int) -> SignedUrl:
        """Sign a GET of the upload's object."""
        return self._sign_get(self._key(upload_id), saved_as, lasts_s)

    def _sign_get(self, key: str, saved_as: SavedAs, lasts_s: int) -> SignedUrl:
        answered_with = {
            "ResponseContentDisposition": saved_as.disposition,
            "ResponseContentType": saved_as.media_type,
        }
        return SignedUrl(self._sign("get_object", {"Bucket": self._bucket.name, "Key": key, **answered_with}, lasts_s))

    def _sign(self, method: str, parameters: Mapping[str, object], lasts_s: int) -> str:
        with translated("sign a URL"):
            return self._signer.generate_presigned_url(method, Params=dict(parameters), ExpiresIn=lasts_s)

    def _expect(self, upload_id: UploadId, etag: str) -> None:
        found = self.stat_upload(upload_id)
        if found.etag != etag:
            raise Conflict(f"upload {upload_id} holds {found.size_bytes} bytes with ETag {found.etag}, not {etag}")

    def _is_under_way(self, object_key: str, key: str) -> bool:
        # Not the error's code: what S3 calls NoSuchUpload, some services answer with a bare 500.
        try:
            self._bucket.client.list_parts(Bucket=self._bucket.name, Key=object_key, UploadId=key, MaxParts=1)
        except ClientError as error:
            if error_code(error) in ("NoSuchUpload", "404"):
                return False
            raise
        return True

    def _key(self, upload_id: UploadId) -> str:
        return self._bucket.uploads_prefix + parse_upload_id(upload_id)

    def _missing(self, upload_id: UploadId) -> str:
        return f"no bytes were uploaded as {upload_id}, or they are gone"


def _upload_ids(name: str) -> Iterator[UploadId]:
    with contextlib.suppress(Invalid):  # somebody else's
        yield parse_upload_id(name)
