"""Large files between the stock client and S3, past the server: shown at once, and hashed by a job afterwards."""

from __future__ import annotations

import hashlib
import random
import secrets
from collections.abc import Iterator
from pathlib import Path

import boto3
import httpx
import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.utils import server_info
from sqlalchemy import select

from mltrail_core.clock import now_us
from mltrail_core.readmodel.tables import artifact_uploads, artifact_versions, artifacts, unverified_artifacts
from mltrail_jobs.hashing import find_unhashed_uploads, hash_upload
from mltrail_jobs.places import Places
from mltrail_jobs.uploads import ABANDONED_AFTER_S, KEPT_AFTER_S, Noted, note_uploads, sweep_unfinished_uploads
from mltrail_jobs.verification import verify_artifacts
from tests.api.running import RunningApi, running_api, wait_until
from tests.servers import S3Server

MIB = 1 << 20
API = "/api/2.0/mlflow"
PROXY = "/api/2.0/mlflow-artifacts"
PART_BYTES = 5 * MIB


class Bucket:
    """What lies in the bucket, seen without mltrail."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.name = url.removeprefix("s3://")
        self.client = boto3.client("s3")

    def keys(self, prefix: str) -> list[str]:
        listed = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix)
        return [item["Key"] for item in listed.get("Contents", ())]

    def under_way(self) -> int:
        return len(self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", ()))

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=body)


@pytest.fixture(scope="module")
def environment(s3_server: S3Server) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.env.items():
            patch.setenv(name, value)
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        patch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", str(6 * MIB))
        patch.setenv("MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE", str(PART_BYTES))
        patch.setenv("MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE", str(7 * MIB))
        yield


@pytest.fixture(scope="module")
def bucket(s3_server: S3Server, environment: None) -> Iterator[Bucket]:
    found = Bucket(s3_server.create_bucket(f"test-{secrets.token_hex(6)}"))
    yield found
    found.client.close()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mltrail")


@pytest.fixture(scope="module")
def api(data: Path, bucket: Bucket) -> Iterator[RunningApi]:
    with running_api(data, artifacts_url=bucket.url) as running:
        yield running


@pytest.fixture
def places(data: Path, bucket: Bucket) -> Places:
    return Places(str(data / "log"), str(data / "read"), bucket.url)


@pytest.fixture
def client(api: RunningApi) -> MlflowClient:
    server_info._clear_server_info_cache()
    return MlflowClient(api.url)


@pytest.fixture
def run_id(api: RunningApi) -> str:
    return api.create_run()


def large_file(folder: Path, size_bytes: int = 25 * MIB, name: str = "model.bin") -> tuple[Path, str]:
    """Write a file without a pattern; return its path and its hash."""
    content = random.Random(secrets.randbits(32)).randbytes(size_bytes)
    path = folder / name
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


def hash_of(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_the_client_uploads_in_parts_and_downloads_in_ranges_past_the_server(
    client: MlflowClient, run_id: str, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", client.tracking_uri)
    path, sha256 = large_file(tmp_path)
    client.log_artifact(run_id, str(path), "models")
    assert len(bucket.keys("uploads/")) == 1
    assert [(one.path, one.file_size) for one in client.list_artifacts(run_id, "models")] == [
        ("models/model.bin", 25 * MIB)
    ]
    to = tmp_path / "back"
    to.mkdir()
    assert hash_of(client.download_artifacts(run_id, "models/model.bin", str(to))) == sha256
    assert hash_of(download_artifacts(f"runs:/{run_id}/models/model.bin")) == sha256
    assert not bucket.keys("blobs/")
