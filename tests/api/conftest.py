"""One running mltrail for all tests of a module that do not disturb it."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator

import pytest

from mltrail_api.express import Express
from tests.api.past_server import MIB, Bucket, PastServer
from tests.api.running import RunningApi, running_api
from tests.servers import S3Server


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """A running mltrail; tests make experiments and runs of their own in it."""
    with running_api(tmp_path_factory.mktemp("mltrail")) as running:
        yield running


@pytest.fixture(scope="module")
def past_server(s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PastServer]:
    """A running mltrail on an S3 bucket, and an environment in which boto3 and MLflow's client send small parts."""
    environment = {
        **s3_server.env,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": str(6 * MIB),
        "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": str(5 * MIB),
        "MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE": str(7 * MIB),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.delenv("AWS_PROFILE", raising=False)
        bucket = Bucket(s3_server.create_bucket(f"test-{secrets.token_hex(6)}"))
        data = tmp_path_factory.mktemp("mltrail")
        with contextlib.closing(bucket.client), running_api(data, artifacts_url=bucket.url) as running:
            yield PastServer(running, bucket, data)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each request that the lane was offered, whether it took it."""
    found: list[bool] = []
    take = Express.take

    def watched(*arguments: object) -> bool:
        found.append(take(*arguments))  # type: ignore[arg-type]
        return found[-1]

    monkeypatch.setattr(Express, "take", watched)
    return found
