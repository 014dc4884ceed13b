"""Large files go between clients and S3 past the server; what was uploaded so is shown at once."""

from __future__ import annotations

from pathlib import Path

import httpx
import mlflow
import pytest

from tests.api.past_server import MIB, PROXY, PastServer, random_bytes, sha256_of
from tests.api.running import RunningApi, running_api
from tests.servers import S3Server

FLAGS = (
    "multipart_uploads_enabled",
    "multipart_downloads_enabled",
    "presigned_upload_run_id_supported",
    "presigned_upload_model_id_supported",
)


@pytest.fixture
def client(past_server: PastServer) -> mlflow.MlflowClient:
    mlflow.utils.server_info._clear_server_info_cache()
    return mlflow.MlflowClient(past_server.api.url)


@pytest.fixture
def run_id(past_server: PastServer) -> str:
    return past_server.api.create_run()


@pytest.fixture
def root(run_id: str) -> str:
    return f"0/{run_id}/artifacts"


def refused(answer: httpx.Response, status: int, error_code: str) -> str:
    assert (answer.status_code, answer.json()["error_code"]) == (status, error_code), answer.text
    return str(answer.json()["message"])


def flags(api: RunningApi) -> set[bool]:
    told = api.client.get(f"{api.url}/api/3.0/mlflow/server-info").json()
    return {told[name] for name in FLAGS}


def test_the_stock_client_uploads_in_parts_and_downloads_in_ranges_past_the_server(
    past_server: PastServer, client: mlflow.MlflowClient, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", client.tracking_uri)
    content = random_bytes(25 * MIB)
    (tmp_path / "model.bin").write_bytes(content)
    client.log_artifact(run_id, str(tmp_path / "model.bin"), "models")
    _, unverified = past_server.shown(run_id)
    assert past_server.bucket.keys("uploads/") == [f"uploads/{unverified['models/model.bin']}"]
    assert not past_server.bucket.keys("blobs/")
    listed = [(file.path, file.is_dir, file.file_size) for file in client.list_artifacts(run_id, "models")]
    assert listed == [("models/model.bin", False, 25 * MIB)]
    found = Path(
        mlflow.artifacts.download_artifacts(f"runs:/{run_id}/models/model.bin", dst_path=str(tmp_path / "back"))
    )
    assert sha256_of(found.read_bytes()) == sha256_of(content)
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "false")
    assert sha256_of(past_server.read(f"0/{run_id}/artifacts/models/model.bin")) == sha256_of(content)


def test_a_client_that_fails_in_the_middle_aborts_and_leaves_nothing(
    past_server: PastServer, client: mlflow.MlflowClient, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository

    def fail(*_: object, **__: object) -> None:
        raise OSError("the line was cut")

    (tmp_path / "cut.bin").write_bytes(bytes(7 * MIB))
    monkeypatch.setattr(HttpArtifactRepository, "_upload_part", staticmethod(fail))
    before = past_server.bucket.client.list_multipart_uploads(Bucket=past_server.bucket.name).get("Uploads", [])
    with pytest.raises(Exception, match="Failed to upload at least one part"):
        client.log_artifact(run_id, str(tmp_path / "cut.bin"))
    after = past_server.bucket.client.list_multipart_uploads(Bucket=past_server.bucket.name).get("Uploads", [])
    assert len(after) == len(before)
    assert client.list_artifacts(run_id) == []


def test_server_info_says_what_is_on(
    past_server: PastServer, api: RunningApi, s3_server: S3Server, tmp_path: Path
) -> None:
    assert flags(past_server.api) == {True}
    assert flags(api) == {False}  # a folder
    with running_api(tmp_path, artifacts_url=past_server.bucket.url, client_url="none") as closed:
        assert flags(closed) == {False}
        run = f"0/{closed.create_run()}/artifacts"
        answer = closed.client.post(f"{closed.url}{PROXY}/mpu/create/{run}", json={"path": "f", "num_parts": 1})
        refused(answer, 501, "NOT_IMPLEMENTED")
    elsewhere = f"http://localhost:{s3_server.port}"
    with running_api(tmp_path, artifacts_url=past_server.bucket.url, client_url=elsewhere) as other:
        assert flags(other) == {True}
        begun = PastServer(other, past_server.bucket, tmp_path).begin(f"0/{other.create_run()}/artifacts/f")
        assert begun.urls[0].startswith(f"{elsewhere}/{past_server.bucket.name}/uploads/{begun.upload_id}?")


def test_a_folder_refuses_in_words_that_make_the_client_go_through_the_server(
    api: RunningApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", "1000")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    client, run_id, content = mlflow.MlflowClient(api.url), api.create_run(), random_bytes(5000)
    (tmp_path / "f.bin").write_bytes(content)
    client.log_artifact(run_id, str(tmp_path / "f.bin"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", api.url)
    found = mlflow.artifacts.download_artifacts(f"runs:/{run_id}/f.bin", dst_path=str(tmp_path / "back"))
    assert Path(found).read_bytes() == content
    for path in ("/artifacts/presigned-upload-url", "/artifacts/presigned-download-url"):
        message = refused(api.post(path, {"run_id": run_id, "path": "f.bin"}), 400, "INVALID_PARAMETER_VALUE")
        assert "is not supported for proxied artifact storage" in message


def test_parts_that_the_store_does_not_have_are_refused_and_the_upload_goes_on(
    past_server: PastServer, root: str
) -> None:
    begun = past_server.begin(f"{root}/parts.bin", parts=2)
    contents = (random_bytes(5 * MIB), b"the rest")
    parts = past_server.send(begun, *contents)
    for wrong in (
        [{**parts[0], "etag": '"0123456789abcdef0123456789abcdef"'}, parts[1]],
        [*parts, {"part_number": 3, "etag": parts[0]["etag"]}],
    ):
        message = refused(past_server.complete(begun, wrong), 400, "INVALID_PARAMETER_VALUE")
        assert "ETag is not the one" in message
    refused(past_server.complete(begun, []), 400, "INVALID_PARAMETER_VALUE")
    assert past_server.complete(begun, parts).status_code == 200
    assert past_server.read(begun.path) == b"".join(contents)


def test_a_completion_that_is_repeated_changes_nothing(past_server: PastServer, run_id: str, root: str) -> None:
    begun = past_server.begin(f"{root}/twice")
    parts = past_server.send(begun, b"once")
    assert [past_server.complete(begun, parts).status_code for _ in range(2)] == [200, 200]
    assert past_server.read(begun.path) == b"once"
    refused(past_server.post("abort", begun.path, {"upload_id": begun.token}), 400, "INVALID_PARAMETER_VALUE")
    assert past_server.read(begun.path) == b"once"


def test_a_server_that_died_after_the_store_was_done_is_asked_again(past_server: PastServer, root: str) -> None:
    begun = past_server.begin(f"{root}/died")
    parts = past_server.send(begun, b"acknowledged by the store only")
    past_server.bucket.client.complete_multipart_upload(
        Bucket=past_server.bucket.name,
        Key=f"uploads/{begun.upload_id}",
        UploadId=begun.key,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": str(parts[0]["etag"])}]},
    )
    assert past_server.state(begun) == "begun"
    assert past_server.complete(begun, parts).status_code == 200
    assert past_server.read(begun.path) == b"acknowledged by the store only"


def test_an_aborted_upload_is_gone_for_good(past_server: PastServer, root: str) -> None:
    begun = past_server.begin(f"{root}/aborted")
    parts = past_server.send(begun, b"never mind")
    assert past_server.bucket.under_way(begun.upload_id) == 1
    for _ in range(2):
        assert past_server.post("abort", begun.path, {"upload_id": begun.token}).text == "{}"
    assert past_server.bucket.under_way(begun.upload_id) == 0
    assert "upload the file again" in refused(past_server.complete(begun, parts), 404, "RESOURCE_DOES_NOT_EXIST")
    assert past_server.state(begun) == "abandoned"


def test_an_upload_is_known_at_its_own_path_only(past_server: PastServer, root: str) -> None:
    begun = past_server.begin(f"{root}/mine")
    parts = past_server.send(begun, b"x")
    other = {"upload_id": begun.token, "parts": parts}
    for step in ("complete", "abort"):
        refused(past_server.post(step, f"{root}/other", other), 404, "RESOURCE_DOES_NOT_EXIST")
        for token in ("", "nonsense", begun.upload_id, f"{begun.upload_id}.", f"../{begun.token}"):
            answer = past_server.post(step, begun.path, {**other, "upload_id": token})
            refused(answer, 400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("{root}/f", {"num_parts": -1}, 400),
        ("{root}/f", {"num_parts": 10_001}, 400),
        ("{root}/f", {"num_parts": "many"}, 400),
        ("{root}/f", {"path": ""}, 400),
        ("{root}/f", {"path": "/home/ada/"}, 400),
        ("{root}/%2e%2e/f", {"num_parts": 1}, 400),
        ("{root}/f#", {"num_parts": 1}, 400),
    ],
)
def test_an_upload_that_makes_no_sense_does_not_begin(
    past_server: PastServer, root: str, path: str, body: dict[str, object], status: int
) -> None:
    assert past_server.post("create", path.format(root=root), body).status_code == status


def test_a_file_of_windows_is_called_by_its_name(past_server: PastServer, root: str) -> None:
    url = f"{past_server.api.url}{PROXY}/mpu/create/{root}"
    answer = past_server.api.client.post(url, json={"path": r"C:\Users\ada\model.bin", "num_parts": 1})
    begun = past_server.begin(f"{root}/model.bin")
    assert past_server.complete(begun, past_server.send(begun, b"same path")).status_code == 200
    body = {"path": "model.bin", "upload_id": answer.json()["upload_id"]}
    assert past_server.api.client.post(f"{past_server.api.url}{PROXY}/mpu/abort/{root}", json=body).status_code == 200


def test_a_directory_or_a_deleted_run_takes_no_upload(past_server: PastServer, run_id: str, root: str) -> None:
    past_server.upload(f"{root}/a/b", b"x")
    refused(past_server.post("create", f"{root}/a", {"num_parts": 1}), 400, "INVALID_PARAMETER_VALUE")
    refused(past_server.post("create", f"{root}/a/b/c", {"num_parts": 1}), 400, "INVALID_PARAMETER_VALUE")
    begun = past_server.begin(f"{root}/late")
    parts = past_server.send(begun, b"late")
    assert past_server.api.post("/runs/delete", {"run_id": run_id}).status_code == 200
    refused(past_server.complete(begun, parts), 400, "INVALID_PARAMETER_VALUE")
    assert past_server.post("abort", begun.path, {"upload_id": begun.token}).status_code == 200


def test_an_unverified_file_is_ranged_overwritten_and_deleted_as_any(past_server: PastServer, root: str) -> None:
    past_server.upload(f"{root}/digits", b"0123456789")
    url = f"{past_server.api.url}{PROXY}/artifacts/{root}/digits"
    http = past_server.api.client
    part = http.get(url, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    assert http.get(url, headers={"If-None-Match": part.headers["etag"]}).status_code == 304
    assert http.head(url).headers["content-length"] == "10"
    past_server.upload(f"{root}/digits", b"abc")
    assert past_server.read(f"{root}/digits") == b"abc"
    assert http.put(url, content=b"through the server").status_code == 200
    assert past_server.read(f"{root}/digits") == b"through the server"
    past_server.upload(f"{root}/digits", b"past it again")
    assert http.delete(url).status_code == 200
    refused(http.get(url), 404, "RESOURCE_DOES_NOT_EXIST")
