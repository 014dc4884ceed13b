"""The model registry, through the stock client and by bare requests."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import mlflow
import pytest

from tests.api.logs import FaultyLog
from tests.api.running import DEADLINE_S, RunningApi, running_api


@pytest.fixture
def client(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> mlflow.MlflowClient:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return mlflow.MlflowClient(api.url)


@pytest.fixture
def http(api: RunningApi) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{api.url}/api/2.0/mlflow", timeout=DEADLINE_S) as opened:
        yield opened


@pytest.fixture
def name(client: mlflow.MlflowClient) -> str:
    """The name of a new registered model."""
    return str(client.create_registered_model(f"model {secrets.token_hex(4)}").name)


def source_of(api: RunningApi, run_id: str, experiment_id: str = "0") -> str:
    return f"mlflow-artifacts:/{experiment_id}/{run_id}/artifacts/model"


def refused(response: httpx.Response, status: int = 400, error_code: str = "INVALID_PARAMETER_VALUE") -> str:
    assert (response.status_code, response.json()["error_code"]) == (status, error_code), response.text
    return str(response.json()["message"])


def test_a_model_is_registered_and_found(client: mlflow.MlflowClient) -> None:
    name = f"iris {secrets.token_hex(4)}"
    created = client.create_registered_model(name, {"team": "vision"}, "Tells flowers apart.")
    found = client.get_registered_model(name)
    assert dict(created) == dict(found)
    assert (found.name, found.tags, found.description) == (name, {"team": "vision"}, "Tells flowers apart.")
    assert (found.latest_versions, found.aliases) == ([], {})
    assert found.creation_timestamp == found.last_updated_timestamp > 0


def test_a_name_is_given_once(client: mlflow.MlflowClient, name: str) -> None:
    with pytest.raises(mlflow.MlflowException, match="already exists") as raised:
        client.create_registered_model(name)
    assert raised.value.error_code == "RESOURCE_ALREADY_EXISTS"


def test_versions_count_up_and_are_found_with_their_source(
    api: RunningApi, client: mlflow.MlflowClient, name: str
) -> None:
    run_id = api.create_run()
    source = source_of(api, run_id)
    for number in ("1", "2", "3"):
        made = client.create_model_version(name, source, run_id, {"n": number}, "http://link", f"the {number}.")
        assert (made.version, made.status, made.current_stage) == (number, "READY", "None")
        assert dict(made) == dict(client.get_model_version(name, number))
    found = client.get_model_version(name, "2")
    assert (found.source, found.run_id, found.run_link) == (source, run_id, "http://link")
    assert (found.tags, found.description) == ({"n": "2"}, "the 2.")
    assert client.get_model_version_download_uri(name, "2") == source
    assert [version.version for version in client.get_registered_model(name).latest_versions] == ["3"]
    answer = api.get("/registered-models/get-latest-versions", name=name).json()
    assert [version["version"] for version in answer["model_versions"]] == ["3"]
    answer = api.post("/registered-models/get-latest-versions", {"name": name, "stages": ["production"]}).json()
    assert answer["model_versions"] == []
    answer = api.post("/registered-models/get-latest-versions", {"name": name, "stages": ["NONE"]}).json()
    assert [version["version"] for version in answer["model_versions"]] == ["3"]


def test_versions_made_at_once_get_different_numbers(api: RunningApi, name: str) -> None:
    def create(number: int) -> int:
        body = {"name": name, "source": f"s3://bucket/{number}", "run_link": str(number)}
        version = api.post("/model-versions/create", body).json()["model_version"]
        assert version["run_link"] == str(number)  # the number answered is that of this very version
        return int(version["version"])

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(create, range(24))) == list(range(1, 25))


def test_a_version_keeps_its_number_when_its_append_was_repeated(tmp_path: Path) -> None:
    logs: list[FaultyLog] = []

    def wrapped(log: object) -> FaultyLog:
        logs.append(FaultyLog(log))  # type: ignore[arg-type]
        return logs[0]

    with running_api(tmp_path, wrap_log=wrapped) as api:
        assert api.post("/registered-models/create", {"name": "m"}).status_code == 200
        for faults in (["unknown, done"], ["unknown"], ["unknown, done", "unknown, done"], []):
            logs[0].faults += faults
            body = {"name": "m", "source": "s3://b/x", "run_link": str(len(faults))}
            made = api.post("/model-versions/create", body).json()["model_version"]
            assert made["run_link"] == str(len(faults))
        found = api.get("/model-versions/search", filter="name='m'").json()["model_versions"]
        assert sorted(version["version"] for version in found) == ["1", "2", "3", "4"]


def test_a_version_that_is_not_projected_yet_is_pending_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mltrail_api.mlflow.registry.version_endpoints._NUMBER_BOUND_S", 0.1)
    with running_api(tmp_path) as api:
        assert api.post("/registered-models/create", {"name": "m"}).status_code == 200
        api.stop_projector()
        response = api.post("/model-versions/create", {"name": "m", "source": "s3://b/x"})
        assert (response.status_code, response.headers["x-mltrail-outcome"]) == (200, "pending")
        assert response.json()["model_version"]["status"] == "PENDING_REGISTRATION"
        assert "version" not in response.json()["model_version"]
        api.start_projector()
        found = api.get("/model-versions/get", name="m", version="1").json()["model_version"]
        assert (found["source"], found["status"]) == ("s3://b/x", "READY")


def test_a_slow_projector_is_waited_for(tmp_path: Path) -> None:
    with running_api(tmp_path) as api:
        assert api.post("/registered-models/create", {"name": "m"}).status_code == 200
        api.stop_projector()
        starter = threading.Timer(2.5, api.start_projector)  # later than other writes wait
        starter.start()
        made = api.post("/model-versions/create", {"name": "m", "source": "s3://b/x"}).json()["model_version"]
        starter.join()
        assert made["version"] == "1"


def test_registered_models_are_searched_in_pages(client: mlflow.MlflowClient, tmp_path: Path) -> None:
    with running_api(tmp_path) as api:
        fresh = mlflow.MlflowClient(api.url)
        for name in ("c", "a", "b"):
            fresh.create_registered_model(name)
        api.post("/model-versions/create", {"name": "a", "source": "s3://b/x"})
        assert [model.name for model in fresh.search_registered_models()] == ["a", "b", "c"]
        assert [model.name for model in fresh.search_registered_models(order_by=["name DESC"])] == ["c", "b", "a"]
        newest = fresh.search_registered_models(order_by=["last_updated_timestamp DESC"])
        assert [model.name for model in newest] == ["a", "b", "c"]
        assert [version.version for version in newest[0].latest_versions] == ["1"]
        assert [model.name for model in fresh.search_registered_models("name = 'b'")] == ["b"]
        first = fresh.search_registered_models(max_results=2)
        second = fresh.search_registered_models(max_results=2, page_token=first.token)
        assert [model.name for model in [*first, *second]] == ["a", "b", "c"]
        assert not second.token


def test_versions_are_searched_by_name_and_run(api: RunningApi, client: mlflow.MlflowClient, name: str) -> None:
    runs = [api.create_run() for _ in range(2)]
    for run_id in (*runs, runs[0]):
        client.create_model_version(name, source_of(api, run_id), run_id)

    def found(text: str, **wanted: Any) -> list[str]:
        return [version.version for version in client.search_model_versions(text, **wanted)]

    assert found(f"name = '{name}'") == ["3", "2", "1"]
    assert found(f"run_id = '{runs[0]}'") == ["3", "1"]
    assert found(f"name = '{name}' and run_id=\"{runs[1]}\"") == ["2"]
    assert found(f"name = '{name}'", order_by=["version_number ASC"]) == ["1", "2", "3"]
    first = client.search_model_versions(f"name = '{name}'", max_results=2)
    assert found(f"name = '{name}'", max_results=2, page_token=first.token) == ["1"]
    assert found("name = 'nobody has this name'") == []


def test_a_version_made_from_another_keeps_its_lineage(api: RunningApi, client: mlflow.MlflowClient, name: str) -> None:
    run_id = api.create_run()
    client.create_model_version(name, source_of(api, run_id), run_id)
    copy = client.copy_model_version(f"models:/{name}/1", f"copy of {name}")
    assert (copy.version, copy.source, copy.run_id) == ("1", f"models:/{name}/1", run_id)
    assert client.get_model_version_download_uri(copy.name, "1") == source_of(api, run_id)
    latest = api.post("/model-versions/create", {"name": name, "source": f"models:/{name}/latest"})
    assert latest.json()["model_version"]["source"] == f"models:/{name}/1"


def test_a_version_from_a_logged_model_knows_run_and_files(
    api: RunningApi, client: mlflow.MlflowClient, name: str
) -> None:
    run_id = api.create_run()
    model = client.create_logged_model("0", source_run_id=run_id)
    body = {"name": name, "source": f"models:/{model.model_id}", "model_id": model.model_id}
    made = api.post("/model-versions/create", body).json()["model_version"]
    assert (made["run_id"], made["model_id"]) == (run_id, model.model_id)
    assert client.get_model_version_download_uri(name, "1") == model.artifact_location
    proxy = f"{api.url}/api/2.0/mlflow-artifacts/artifacts/0/models/{model.model_id}/artifacts/MLmodel"
    assert httpx.put(proxy, content=b"flavors").status_code == 200
    link = {"name": name, "version": "1", "path": "MLmodel"}
    assert httpx.get(f"{api.url}/model-versions/get-artifact", params=link).text == "flavors"


def test_a_source_must_lie_within_what_the_request_names(
    api: RunningApi, client: mlflow.MlflowClient, name: str
) -> None:
    run_id, other = api.create_run(), api.create_run()
    model_id = client.create_logged_model("0").model_id
    root = f"mlflow-artifacts:/0/{run_id}/artifacts"
    inside = [
        {"source": f"{root}/model", "run_id": run_id},
        {"source": root, "run_id": run_id},
        {"source": f"runs:/{run_id}/model", "run_id": run_id},
        {"source": "s3://bucket/model"},
        {"source": "dbfs:/model", "run_id": other},
    ]
    for body in inside:
        assert api.post("/model-versions/create", {"name": name, **body}).status_code == 200, body
    outside = [
        {"source": f"{root}/model"},
        {"source": f"{root}/model", "run_id": other},
        {"source": f"{root}/model", "run_id": "0" * 32},
        {"source": f"{root}/model", "model_id": model_id},
        {"source": f"{root}/../../{other}/artifacts", "run_id": run_id},
        {"source": f"{root}/%2e%2e/%2e%2e/{other}/artifacts", "run_id": run_id},
        {"source": f"{root}/%252e%252e/x", "run_id": run_id},
        {"source": f"{root}x/model", "run_id": run_id},
        {"source": "mlflow-artifacts:/", "run_id": run_id},
        {"source": f"mlflow-artifacts://elsewhere/0/{run_id}/artifacts", "run_id": run_id},
        {"source": f"{api.url}/api/2.0/mlflow-artifacts/artifacts/0/{other}/artifacts", "run_id": run_id},
        {"source": f"runs:/{run_id}/model", "run_id": other},
        {"source": f"runs:/{run_id}/model"},
        {"source": f"runs:/{run_id}/model", "run_id": run_id, "model_id": model_id},
        {"source": f"runs://host/{run_id}/model", "run_id": run_id},
        {"source": f"models:/{model_id}"},
        {"source": f"models:/{model_id}", "model_id": "m-0"},
        {"source": f"models://host/{model_id}", "model_id": model_id},
        {"source": "models:/"},
        {"source": "models:/a/b/c"},
        {"source": "models:/a@"},
        {"source": f"models:/{name}/Live"},
        {"source": f"models:/{name}/Production"},
        {"source": f"models:/{name}@best"},
        {"source": f"models:/{name}/1", "run_id": other},
        {"source": "/etc/passwd"},
        {"source": "/etc/passwd", "run_id": run_id},
        {"source": "file:///etc/passwd", "run_id": run_id},
        {"source": "etc/passwd"},
        {"source": "s3://bucket/../x"},
        {"source": "s3://bucket/%2e%2e/x"},
        {"source": "s3://bucket/a%00b"},
        {"source": "http://host/api/2.0/mlflow-artifacts/artifacts/x"},
        {"source": "s3://bucket/" + "x" * 500},
        {"source": "http://[::1"},
        {"source": "models:/[x]y"},
        {"source": "models://[x"},
    ]
    for body in outside:
        refused(api.post("/model-versions/create", {"name": name, **body}))
    for source in (f"models:/{name}/99", "models:/nobody/1", "models:/nobody/latest", "models:/nobody@best"):
        refused(api.post("/model-versions/create", {"name": name, "source": source}), 404, "RESOURCE_DOES_NOT_EXIST")
    assert len(client.search_model_versions(f"name = '{name}'")) == len(inside)


HUGE = "9" * 30


@pytest.mark.parametrize(
    ("method", "path", "fields", "status"),
    [
        ("POST", "/registered-models/create", {}, 400),
        ("POST", "/registered-models/create", {"name": ""}, 400),
        ("POST", "/registered-models/create", {"name": "  "}, 400),
        ("POST", "/registered-models/create", {"name": 5}, 400),
        ("POST", "/registered-models/create", {"name": "a/b"}, 400),
        ("POST", "/registered-models/create", {"name": "a:b"}, 400),
        ("POST", "/registered-models/create", {"name": ".."}, 400),
        ("POST", "/registered-models/create", {"name": "n\0"}, 400),
        ("POST", "/registered-models/create", {"name": "x" * 257}, 400),
        ("POST", "/registered-models/create", {"name": "x", "description": "d" * 5001}, 400),
        ("POST", "/registered-models/create", {"name": "x", "description": 1}, 400),
        ("POST", "/registered-models/create", {"name": "x", "tags": {"a": "b"}}, 400),
        ("POST", "/registered-models/create", {"name": "x", "tags": [{"value": "b"}]}, 400),
        ("POST", "/registered-models/create", {"name": "x", "tags": [{"key": "/a"}]}, 400),
        ("POST", "/registered-models/create", {"name": "x", "tags": [{"key": "a", "value": "v" * 100_001}]}, 400),
        (
            "POST",
            "/registered-models/create",
            {"name": "x", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]},
            400,
        ),
        ("GET", "/registered-models/get", {}, 400),
        ("GET", "/registered-models/get", {"name": "a/b"}, 400),
        ("GET", "/registered-models/get", {"name": "nobody"}, 404),
        ("GET", "/registered-models/get-latest-versions", {"name": "nobody"}, 404),
        ("GET", "/registered-models/get-latest-versions", {"name": "nobody", "stages": ["Live"]}, 400),
        ("POST", "/registered-models/get-latest-versions", {"name": "nobody", "stages": "None"}, 400),
        ("GET", "/registered-models/search", {"max_results": "1001"}, 400),
        ("GET", "/registered-models/search", {"max_results": "-1"}, 400),
        ("GET", "/registered-models/search", {"max_results": "many"}, 400),
        ("GET", "/registered-models/search", {"filter": "tags.a > 'b'"}, 400),
        ("GET", "/registered-models/search", {"filter": "tags.a IS NULL"}, 400),
        ("GET", "/registered-models/search", {"filter": "tags.a IN ('b')"}, 400),
        ("GET", "/registered-models/search", {"filter": "attributes.name = 'a'"}, 400),
        ("GET", "/registered-models/search", {"filter": "creation_timestamp > 1"}, 400),
        ("GET", "/registered-models/search", {"filter": "name = a"}, 400),
        ("GET", "/registered-models/search", {"filter": "run_id = 'a'"}, 400),
        ("GET", "/registered-models/search", {"order_by": ["description"]}, 400),
        ("GET", "/registered-models/search", {"order_by": ["name UP"]}, 400),
        ("GET", "/registered-models/search", {"order_by": ["name", "name DESC"]}, 400),
        ("GET", "/registered-models/search", {"page_token": "x"}, 400),
        ("POST", "/model-versions/create", {"name": "nobody"}, 400),
        ("POST", "/model-versions/create", {"source": "s3://b/x"}, 400),
        ("POST", "/model-versions/create", {"name": "nobody", "source": "s3://b/x"}, 404),
        ("POST", "/model-versions/create", {"name": "a/b", "source": "s3://b/x"}, 400),
        ("POST", "/model-versions/create", {"name": "nobody", "source": 1}, 400),
        ("POST", "/model-versions/create", {"name": "nobody", "source": "s3://b/x", "run_id": 1}, 400),
        ("POST", "/model-versions/create", {"name": "nobody", "source": "s3://b/x", "run_link": "l" * 501}, 400),
        ("POST", "/model-versions/create", {"name": "nobody", "source": "s3://b/x", "tags": [{"key": ""}]}, 400),
        ("POST", "/model-versions/create", {"name": "nobody", "source": "models:/x/" + HUGE}, 404),
        ("GET", "/model-versions/get", {"name": "nobody"}, 400),
        ("GET", "/model-versions/get", {"name": "nobody", "version": "1"}, 404),
        ("GET", "/model-versions/get", {"name": "nobody", "version": "one"}, 400),
        ("GET", "/model-versions/get", {"name": "nobody", "version": "-1"}, 404),
        ("GET", "/model-versions/get", {"name": "nobody", "version": HUGE}, 404),
        ("GET", "/model-versions/get", {"name": "nobody", "version": "9" * 5000}, 400),
        ("GET", "/model-versions/get-download-uri", {"name": "nobody", "version": "1"}, 404),
        ("GET", "/model-versions/get-download-uri", {"version": "1"}, 400),
        ("GET", "/model-versions/search", {"max_results": "200001"}, 400),
        ("GET", "/model-versions/search", {"max_results": "0"}, 400),
        ("GET", "/model-versions/search", {"filter": "version_number > 3.5"}, 400),
        ("GET", "/model-versions/search", {"filter": "version_number = 'three'"}, 400),
        ("GET", "/model-versions/search", {"filter": "version_number IN ('1')"}, 400),
        ("GET", "/model-versions/search", {"filter": "source_path IN ('a')"}, 400),
        ("GET", "/model-versions/search", {"filter": "current_stage = 'None'"}, 400),
        ("GET", "/model-versions/search", {"filter": "name = 'a' OR name = 'b'"}, 400),
        ("GET", "/model-versions/search", {"order_by": ["source"]}, 400),
        ("POST", "/model-versions/search", {}, 405),
    ],
)
def test_a_malformed_request_is_refused(
    http: httpx.Client, method: str, path: str, fields: dict[str, object], status: int
) -> None:
    sent = {"params": fields} if method == "GET" else {"json": fields}
    response = http.request(method, path, **sent)  # type: ignore[arg-type]
    code = {400: "INVALID_PARAMETER_VALUE", 404: "RESOURCE_DOES_NOT_EXIST", 405: "ENDPOINT_NOT_FOUND"}[status]
    assert refused(response, status, code)
