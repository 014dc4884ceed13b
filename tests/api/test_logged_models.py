"""MLflow 3's logged models, through the stock client and by bare requests."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import mlflow
import pytest

from tests.api.running import DEADLINE_S, RunningApi


@pytest.fixture
def client(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> mlflow.MlflowClient:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return mlflow.MlflowClient(api.url)


@pytest.fixture
def experiment_id(api: RunningApi) -> str:
    return api.create_experiment(f"models {secrets.token_hex(4)}")


@pytest.fixture
def http(api: RunningApi) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{api.url}/api/2.0/mlflow", timeout=DEADLINE_S) as opened:
        yield opened


def refused(response: httpx.Response, status: int, error_code: str) -> str:
    assert (response.status_code, response.json()["error_code"]) == (status, error_code), response.text
    return str(response.json()["message"])


def test_a_model_is_created_described_and_finalized(
    api: RunningApi, client: mlflow.MlflowClient, experiment_id: str
) -> None:
    run_id = api.create_run(experiment_id)
    created = client.create_logged_model(
        experiment_id, "gbm", run_id, {"team": "vision"}, {"depth": "3"}, model_type="classifier"
    )
    assert created.status == mlflow.entities.LoggedModelStatus.PENDING
    assert created.artifact_location == f"mlflow-artifacts:/{experiment_id}/models/{created.model_id}/artifacts"
    client.log_model_params(created.model_id, {"depth": "3", "rate": "0.1"})
    client.set_logged_model_tags(created.model_id, {"team": "audio", "a/b": "1"})
    client.delete_logged_model_tag(created.model_id, "a/b")
    finalized = client.finalize_logged_model(created.model_id, mlflow.entities.LoggedModelStatus.READY)
    found = client.get_logged_model(created.model_id)
    assert finalized.to_dictionary() == found.to_dictionary()
    assert (found.name, found.status, found.source_run_id) == ("gbm", mlflow.entities.LoggedModelStatus.READY, run_id)
    assert (found.params, found.model_type) == ({"depth": "3", "rate": "0.1"}, "classifier")
    assert {key: value for key, value in found.tags.items() if not key.startswith("mlflow.")} == {"team": "audio"}


def test_more_params_than_one_request_takes_are_logged(client: mlflow.MlflowClient, experiment_id: str) -> None:
    params = {f"p{number}": str(number) for number in range(250)}
    assert client.create_logged_model(experiment_id, params=params).params == params


def test_metrics_that_name_a_model_are_the_models(
    api: RunningApi, client: mlflow.MlflowClient, experiment_id: str
) -> None:
    run_id, model_id = api.create_run(experiment_id), client.create_logged_model(experiment_id).model_id
    client.log_batch(
        run_id, [mlflow.entities.Metric("loss", float(step), 5, step, model_id, "iris", "d1") for step in range(3)]
    )
    client.log_metric(run_id, "loss", 9.0)
    found = client.get_logged_model(model_id).metrics
    assert [(one.key, one.value, one.step, one.timestamp, one.dataset_name, one.run_id) for one in found or []] == [
        ("loss", float(step), step, 5, "iris", run_id) for step in range(3)
    ]


def test_files_of_a_model_are_kept_apart_from_its_runs(api: RunningApi, http: httpx.Client, experiment_id: str) -> None:
    answer = http.post("/logged-models", json={"experiment_id": experiment_id, "name": "m"}).json()
    model_id = answer["model"]["info"]["model_id"]
    proxy = f"{api.url}/api/2.0/mlflow-artifacts/artifacts/{experiment_id}/models/{model_id}/artifacts"
    for path in ("MLmodel", "code/train.py"):
        assert httpx.put(f"{proxy}/{path}", content=path.encode()).status_code == 200
    listed = http.get(f"/logged-models/{model_id}/artifacts/directories").json()
    assert listed["root_uri"] == answer["model"]["info"]["artifact_uri"]
    assert listed["files"] == [
        {"path": "MLmodel", "is_dir": False, "file_size": 7},
        {"path": "code", "is_dir": True},
    ]
    below = http.get(f"/logged-models/{model_id}/artifacts/directories", params={"artifact_directory_path": "code"})
    assert below.json()["files"] == [{"path": "code/train.py", "is_dir": False, "file_size": 13}]
    files = f"{api.url}/ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files"
    assert httpx.get(files, params={"artifact_file_path": "code/train.py"}).text == "code/train.py"
    refused(httpx.get(files), 400, "INVALID_PARAMETER_VALUE")
    refused(httpx.get(files, params={"artifact_file_path": "../x"}), 400, "INVALID_PARAMETER_VALUE")
    refused(http.get("/logged-models/m-0/artifacts/directories"), 404, "RESOURCE_DOES_NOT_EXIST")


def test_models_are_searched_by_experiment_name_and_run_in_pages(
    api: RunningApi, client: mlflow.MlflowClient, experiment_id: str
) -> None:
    run_id = api.create_run(experiment_id)
    ids = [client.create_logged_model(experiment_id, f"m{n % 2}", run_id if n < 2 else None).model_id for n in range(5)]

    def found(**wanted: Any) -> list[str]:
        page = client.search_logged_models([experiment_id], **wanted)
        return [model.model_id for model in page]

    assert found() == ids[::-1]
    assert found(filter_string="name = 'm1'") == [ids[3], ids[1]]
    assert found(filter_string=f"name='m0' AND source_run_id = \"{run_id}\"") == [ids[0]]
    assert found(order_by=[{"field_name": "creation_timestamp", "ascending": True}]) == ids
    by_name = [{"field_name": "name", "ascending": False}, {"field_name": "creation_time"}]
    assert found(order_by=by_name) == [ids[1], ids[3], ids[0], ids[2], ids[4]]
    first = client.search_logged_models([experiment_id], max_results=3)
    second = client.search_logged_models([experiment_id], max_results=3, page_token=first.token)
    assert [model.model_id for model in [*first, *second]] == ids[::-1]
    assert second.token is None
    assert client.search_logged_models([api.create_experiment(secrets.token_hex(4))]) == []


def test_a_registered_model_says_so(api: RunningApi, client: mlflow.MlflowClient, experiment_id: str) -> None:
    model_id = client.create_logged_model(experiment_id).model_id
    name = f"registered {secrets.token_hex(4)}"
    client.create_registered_model(name)
    for _ in range(2):
        body = {"name": name, "source": f"models:/{model_id}", "model_id": model_id}
        assert api.post("/model-versions/create", body).status_code == 200
    tag = client.get_logged_model(model_id).tags["mlflow.modelVersions"]
    assert json.loads(tag) == [{"name": name, "version": "1"}, {"name": name, "version": "2"}]


def test_a_param_of_a_model_never_changes(client: mlflow.MlflowClient, experiment_id: str) -> None:
    model_id = client.create_logged_model(experiment_id, params={"depth": "3"}).model_id
    with pytest.raises(mlflow.MlflowException, match="already has the value '3' and can't become '4'"):
        client.log_model_params(model_id, {"new": "1", "depth": "4"})
    assert client.get_logged_model(model_id).params == {"depth": "3"}


def test_a_deleted_experiment_takes_no_models(api: RunningApi, http: httpx.Client, experiment_id: str) -> None:
    api.post("/experiments/delete", {"experiment_id": experiment_id})
    message = refused(
        http.post("/logged-models", json={"experiment_id": experiment_id}), 400, "INVALID_PARAMETER_VALUE"
    )
    assert "must be in the 'active' state" in message


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "", {}, 400),
        ("POST", "", {"experiment_id": 1}, 400),
        ("POST", "", {"experiment_id": "987654321"}, 404),
        ("POST", "", {"experiment_id": "0", "name": "a/b"}, 400),
        ("POST", "", {"experiment_id": "0", "name": "a.b"}, 400),
        ("POST", "", {"experiment_id": "0", "name": "x" * 501}, 400),
        ("POST", "", {"experiment_id": "0", "name": 7}, 400),
        ("POST", "", {"experiment_id": "0", "name": "n\0"}, 400),
        ("POST", "", {"experiment_id": "0", "model_type": "x" * 501}, 400),
        ("POST", "", {"experiment_id": "0", "source_run_id": "x" * 33}, 400),
        ("POST", "", {"experiment_id": "0", "params": {"a": "1"}}, 400),
        ("POST", "", {"experiment_id": "0", "params": [{"value": "1"}]}, 400),
        ("POST", "", {"experiment_id": "0", "params": [{"key": "../a", "value": "1"}]}, 400),
        ("POST", "", {"experiment_id": "0", "params": [{"key": "a"}, {"key": "a"}]}, 400),
        ("POST", "", {"experiment_id": "0", "tags": [{"key": "a" * 251}]}, 400),
        ("GET", "/m-0", None, 404),
        ("GET", "/%00", None, 400),
        ("GET", "/" + "x" * 5000, None, 404),
        ("GET", "/search", None, 405),
        ("DELETE", "/m-0", None, 404),
        ("PATCH", "/m-0", {"status": "LOGGED_MODEL_READY"}, 404),
        ("PATCH", "/m-0", {"status": 2}, 404),
        ("PATCH", "/m-0", {"status": 0}, 400),
        ("PATCH", "/m-0", {"status": "READY"}, 400),
        ("PATCH", "/m-0", {"status": True}, 400),
        ("PATCH", "/m-0", {}, 400),
        ("PATCH", "/m-0", b"{", 400),
        ("POST", "/m-0/params", {"params": [{"key": "a", "value": "1"}]}, 404),
        ("POST", "/m-0/params", {"params": 1}, 400),
        ("PATCH", "/m-0/tags", {"tags": [{"key": "a", "value": "1"}]}, 404),
        ("PATCH", "/m-0/tags", {"tags": "a"}, 400),
        ("DELETE", "/m-0/tags/a", None, 404),
        ("POST", "/search", {}, 400),
        ("POST", "/search", {"experiment_ids": "0"}, 400),
        ("POST", "/search", {"experiment_ids": ["x"]}, 400),
        ("POST", "/search", {"experiment_ids": ["0"], "filter": "metrics.a > '1'"}, 400),
        ("POST", "/search", {"experiment_ids": ["0"], "filter": "name = 'a' OR name = 'b'"}, 400),
        ("POST", "/search", {"experiment_ids": ["0"], "filter": "name = 'a"}, 400),
        ("POST", "/search", {"experiment_ids": ["0"], "filter": "ANDname = 'a'"}, 400),
        ("POST", "/search", {"experiment_ids": ["0"], "datasets": [{"dataset_digest": "d"}]}, 400),
        ("POST", "/search", {"experiment_ids": ["0"], "max_results": -1}, 400),
        ("POST", "/search", {"experiment_ids": ["0"], "max_results": 100000}, 400),
        ("POST", "/search", {"experiment_ids": ["0"], "order_by": [{"field_name": "params.a"}]}, 400),
        ("POST", "/search", {"experiment_ids": ["0"], "order_by": ["name"]}, 400),
        ("POST", "/search", {"experiment_ids": ["0"], "page_token": "!"}, 400),
        ("POST", "/search", {"experiment_ids": ["0"], "page_token": "WyJydW5zIiwgMV0="}, 400),
    ],
)
def test_a_malformed_request_is_refused(http: httpx.Client, method: str, path: str, body: object, status: int) -> None:
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    response = http.request(method, f"/logged-models{path}", content=content)
    codes = {400: "INVALID_PARAMETER_VALUE", 404: "RESOURCE_DOES_NOT_EXIST", 405: "ENDPOINT_NOT_FOUND"}
    assert refused(response, status, codes[status])
