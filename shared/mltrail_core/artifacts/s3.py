"""Artifacts in an S3 bucket, for servers that share them: AWS or any service that speaks its protocol."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mltrail_core.artifacts import (
    NO_CLIENTS,
    ArtifactStore,
    BlobStream,
    BlobWriter,
    DirectTransfer,
    Sha256,
    StoredBlob,
    is_sha256,
    parse_sha256,
)
from mltrail_core.artifacts.s3_bucket import S3Bucket, s3_client, translated
from mltrail_core.artifacts.s3_direct import S3DirectTransfer
from mltrail_core.artifacts.s3_multipart import PartSizes, abort_multipart
from mltrail_core.artifacts.s3_reader import open_object
from mltrail_core.artifacts.s3_writer import S3Writer
from mltrail_core.errors import Invalid

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import MultipartUploadTypeDef


class S3ArtifactStore(ArtifactStore):
    """Blobs as objects `<prefix>/blobs/sha256/<hash>`.

    Args:
        bucket: name of a bucket that exists.
        prefix: what all keys begin with, without slashes at its ends; "" for none.
        endpoint_url: the service; None: AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL or else AWS.
        region: None: AWS_DEFAULT_REGION.
        client_url: by which clients reach the service; None: by the same; "none": they can't.
        sizes: how blobs are cut; the default holds 16 MiB in memory per upload.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        client_url: str | None = None,
        sizes: PartSizes | None = None,
    ) -> None:
        if not bucket:
            raise Invalid("the artifacts URL names no bucket; expected s3://bucket/prefix")
        with translated("open the artifact store"):
            client = s3_client(endpoint_url, region)
            signer = (
                client if client_url is None else s3_client(client_url, region) if client_url != NO_CLIENTS else None
            )
        self._bucket = S3Bucket(client, bucket, f"{prefix}/" if prefix else "")
        self._sizes = sizes or PartSizes()
        self._signer = signer
        self._direct = S3DirectTransfer(self._bucket, signer, self._sizes)

    @property
    def url(self) -> str:
        """`s3://bucket/prefix`, without the endpoint."""
        return f"s3://{self._bucket.name}/{self._bucket.prefix}".rstrip("/")

    @property
    def direct(self) -> DirectTransfer:
        """Uploads and downloads by presigned URLs."""
        return self._direct

    def writer(self) -> BlobWriter:
        """Begin an upload; S3 hears of it when the first 16 MiB are full or at commit."""
        return S3Writer(self._bucket, self._sizes)

    def open(self, sha256: str, start: int = 0, end: int | None = None) -> BlobStream:
        """Stream a blob or a range of it; a connection that breaks is resumed where it broke."""
        return open_object(self._bucket, self._key(sha256), start, end, missing=self._missing(sha256))

    def stat(self, sha256: str) -> StoredBlob:
        """Return size and age of a blob."""
        key = self._key(sha256)
        with translated(f"look up {key} in {self.url}", missing=self._missing(sha256)):
            answer = self._bucket.client.head_object(Bucket=self._bucket.name, Key=key)
        return StoredBlob(Sha256(sha256), answer["ContentLength"], _us(answer["LastModified"]))

    def delete(self, sha256: str) -> None:
        """Delete a blob's object."""
        key = self._key(sha256)
        with translated(f"delete {key} in {self.url}"):
            self._bucket.client.delete_object(Bucket=self._bucket.name, Key=key)

    def list(self) -> Iterator[StoredBlob]:
        """Yield every blob in the order of the hashes, 1,000 a request."""
        prefix = self._bucket.blobs_prefix
        pages = self._bucket.client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket.name, Prefix=prefix)
        with translated(f"list {self.url}"):
            for page in pages:
                for item in page.get("Contents", ()):
                    name = item["Key"].removeprefix(prefix)
                    if is_sha256(name):
                        yield StoredBlob(Sha256(name), item["Size"], _us(item["LastModified"]))

    def check(self) -> None:
        """Put, read and delete a small object."""
        key = f"{self._bucket.unfinished_prefix}check-{uuid.uuid4().hex}"
        with translated(f"write to the artifact store {self.url} at {self._bucket.client.meta.endpoint_url}"):
            self._bucket.client.put_object(Bucket=self._bucket.name, Key=key, Body=b"mltrail")
            self._bucket.client.head_object(Bucket=self._bucket.name, Key=key)
            self._bucket.client.delete_object(Bucket=self._bucket.name, Key=key)

    def sweep_unfinished(self, older_than_s: float) -> int:
        """Abort multipart uploads and delete temporary objects that got no byte for `older_than_s` seconds.

        An object that was completed counts from the beginning of its upload, as S3 dates it. A bucket's life-cycle rule
        on `unfinished/` does the same.
        """
        before = datetime.fromtimestamp(time.time() - older_than_s, UTC)
        client, name = self._bucket.client, self._bucket.name
        swept = 0
        with translated(f"sweep {self.url}"):
            # Not the whole prefix: with an empty one, the bucket may hold other people's uploads.
            for prefix in (self._bucket.unfinished_prefix, self._bucket.blobs_prefix):
                for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=name, Prefix=prefix):
                    for upload in page.get("Uploads", ()):
                        if self._last_byte_at(upload) <= before:
                            swept += abort_multipart(self._bucket, upload["Key"], upload["UploadId"])
            temporary = self._bucket.unfinished_prefix
            for objects in client.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=temporary):
                for item in objects.get("Contents", ()):
                    if item["LastModified"] <= before:
                        client.delete_object(Bucket=name, Key=item["Key"])
                        swept += 1
        return swept

    def close(self) -> None:
        """Close the pools of connections."""
        self._bucket.client.close()
        if self._signer is not None:
            self._signer.close()

    def _key(self, sha256: str) -> str:
        return self._bucket.blobs_prefix + parse_sha256(sha256)

    def _missing(self, sha256: str) -> str:
        return f"no artifact with SHA-256 {sha256} in {self.url}"

    def _last_byte_at(self, upload: MultipartUploadTypeDef) -> datetime:
        latest = upload["Initiated"]
        parts = self._bucket.client.get_paginator("list_parts").paginate(
            Bucket=self._bucket.name, Key=upload["Key"], UploadId=upload["UploadId"]
        )
        with contextlib.suppress(
            self._bucket.client.exceptions.NoSuchUpload
        ):  # completed or aborted since it was listed
            for page in parts:
                latest = max([latest, *(part["LastModified"] for part in page.get("Parts", ()))])
        return latest


def _us(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)
