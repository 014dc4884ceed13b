"""A running mltrail on an S3 bucket, what lies in the bucket, and the steps of an upload past the server."""

from __future__ import annotations

import hashlib
import random
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import boto3
import httpx
from sqlalchemy import Row, Table, select

from mltrail_core.artifacts.direct import UploadId
from mltrail_core.readmodel.tables import artifact_uploads, artifact_versions, artifacts, unverified_artifacts
from mltrail_jobs.places import Places
from tests.api.running import RunningApi

MIB = 1 << 20
PROXY = "/api/2.0/mlflow-artifacts"


class Bucket:
    """A bucket, seen and changed without mltrail."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.name = url.removeprefix("s3://")
        self.client = boto3.client("s3")

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with `prefix`."""
        listed = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix)
        return [item["Key"] for item in listed.get("Contents", ())]

    def under_way(self, upload_id: str) -> int:
        """Return how many multipart uploads to the key of an upload are not complete."""
        listed = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", ())
        return sum(upload["Key"].endswith(upload_id) for upload in listed)

    def put(self, key: str, body: bytes) -> None:
        """Put an object."""
        self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def delete(self, key: str) -> None:
        """Delete an object."""
        self.client.delete_object(Bucket=self.name, Key=key)


@dataclass(frozen=True, slots=True)
class Begun:
    """A multipart upload that the server began."""

    path: str
    token: str
    urls: tuple[str, ...]

    @property
    def upload_id(self) -> UploadId:
        """Its id in the log and the store."""
        return UploadId(self.token.partition(".")[0])

    @property
    def key(self) -> str:
        """S3's own id of it."""
        return self.token.partition(".")[2]


@dataclass(frozen=True, slots=True)
class PastServer:
    """What tests do with a running mltrail on a bucket."""

    api: RunningApi
    bucket: Bucket
    data: Path

    @property
    def places(self) -> Places:
        """What jobs work on."""
        return Places(str(self.data / "log"), str(self.data / "read"), self.bucket.url)

    def post(self, step: str, path: str, body: Mapping[str, object]) -> httpx.Response:
        """Ask `mpu/create`, `complete` or `abort` of a file at a path of the proxy."""
        directory, _, name = path.rpartition("/")
        url = f"{self.api.url}{PROXY}/mpu/{step}/{directory}"
        return self.api.client.post(url, json={"path": f"/home/ada/{name}", **body})

    def begin(self, path: str, parts: int = 1) -> Begun:
        """Begin a multipart upload."""
        answer = self.post("create", path, {"num_parts": parts})
        assert answer.status_code == 200, answer.text
        credentials = answer.json()["credentials"]
        assert [one["part_number"] for one in credentials] == list(range(1, parts + 1))
        return Begun(path, answer.json()["upload_id"], tuple(one["url"] for one in credentials))

    def send(self, begun: Begun, *contents: bytes) -> list[dict[str, object]]:
        """Put the parts and return what `complete` is to be told of them."""
        parts: list[dict[str, object]] = []
        for number, (url, content) in enumerate(zip(begun.urls, contents, strict=True), 1):
            answer = self.api.client.put(url, content=content)
            assert answer.status_code == 200, answer.text
            parts.append({"part_number": number, "etag": answer.headers["ETag"], "url": url})
        return parts

    def complete(self, begun: Begun, parts: list[dict[str, object]]) -> httpx.Response:
        """Ask for completion."""
        return self.post("complete", begun.path, {"upload_id": begun.token, "parts": parts})

    def upload(self, path: str, content: bytes) -> Begun:
        """Upload a file of one part."""
        begun = self.begin(path)
        answer = self.complete(begun, self.send(begun, content))
        assert (answer.status_code, answer.text) == (200, "{}")
        return begun

    def url_to_put(self, run_id: str, path: str, **more: object) -> tuple[str, dict[str, str]]:
        """Ask for a URL to put a file of a run to."""
        answer = self.api.post("/artifacts/presigned-upload-url", {"run_id": run_id, "path": path, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()["presigned_url"], answer.json()["headers"]

    def read(self, path: str) -> bytes:
        """Download through the server."""
        answer = self.api.client.get(f"{self.api.url}{PROXY}/artifacts/{path}")
        assert answer.status_code == 200, answer.text
        return answer.content

    def rows(self, table: Table, **values: str) -> list[Row[tuple[object, ...]]]:
        """Return the rows of a table that have these values."""
        with self.api.read_model.reading() as connection:
            return list(connection.execute(select(table).filter_by(**values)).all())

    def state(self, begun: Begun) -> str:
        """Return the state of an upload in the read model."""
        [row] = self.rows(artifact_uploads, upload_id=begun.upload_id)
        return str(row.state)

    def shown(self, run_id: str) -> tuple[dict[str, str], dict[str, str]]:
        """Return what the paths of a run show: the hash of what is verified, the upload of what is not."""
        verified = {row.path: row.sha256 for row in self.rows(artifacts, owner=run_id)}
        return verified, {row.path: row.upload_id for row in self.rows(unverified_artifacts, owner=run_id)}

    def versions(self, run_id: str) -> list[str | None]:
        """Return the hashes that the paths of a run held, in order of the log."""
        rows = sorted(self.rows(artifact_versions, owner=run_id), key=lambda row: (row.index, row.number))
        return [row.sha256 for row in rows]


def random_bytes(size_bytes: int) -> bytes:
    """Return bytes without a pattern, other ones each time."""
    return random.Random(secrets.randbits(32)).randbytes(size_bytes)


def sha256_of(content: bytes) -> str:
    """Return the hash of a content."""
    return hashlib.sha256(content).hexdigest()
