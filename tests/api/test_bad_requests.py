"""Whatever is sent, the answer is MLflow's JSON error with a 4xx; never a 500."""

from __future__ import annotations

import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mltrail_api.mlflow.routes import VERSION_2
from tests.api.running import RunningApi
from tests.thorough import examples

JSON_ROUTES = sorted(path for method, path in VERSION_2 if method == "POST" and "{" not in path)


def refused(response: httpx.Response, error_code: str = "INVALID_PARAMETER_VALUE", status: int = 400) -> str:
    assert (response.status_code, response.json()["error_code"]) == (status, error_code), response.text
    message = response.json()["message"]
    assert isinstance(message, str)
    assert message
    return message


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1]",
        b"7",
        b"null",
        b'"{"',
        b'"[]"',
        b'{"run_id": "\xff"}',
        b'{"run_id": "\\ud800"}',
        b'{"run_id": "a\\u0000b"}',
        b'{"\\u0000": 1}',
        b'{"run_id": "a\x00b"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"run_id": 1' + b"0" * 10_000 + b"}",
        b'{"run_id": 1e999999}',
        b'{"run_id": NaN}',
        b'{"run_id": {"a": 1}}',
        b'{"run_id": ["a"]}',
        b"\xef\xbb\xbf{}",
        b"PK\x03\x04",
    ],
)
@pytest.mark.parametrize("path", ["/runs/log-metric", "/runs/log-batch", "/experiments/create", "/runs/search"])
def test_a_malformed_body_is_refused(api: RunningApi, path: str, body: bytes) -> None:
    response = api.client.post(f"{api.url}/api/2.0/mlflow{path}", content=body)
    if path == "/runs/search" and response.status_code == 200:
        assert b"run_id" in body  # runs/search has no run_id: what is unknown is ignored
        return
    refused(response)


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"step": "NaN"}, "step"),
        ({"step": 1.5}, "step"),
        ({"step": True}, "step"),
        ({"step": 2**63}, "step"),
        ({"step": str(2**63)}, "step"),
        ({"step": "1" * 60}, "step"),
        ({"step": {}}, "step"),
        ({"timestamp": -1}, "timestamp"),
        ({"timestamp": 2**62}, "timestamp"),
        ({"timestamp": None}, "timestamp"),
        ({"timestamp": ""}, "timestamp"),
        ({"value": None}, "value"),
        ({"value": "much"}, "value"),
        ({"value": True}, "value"),
        ({"value": [1]}, "value"),
        ({"key": ""}, "key"),
        ({"key": 7}, "key"),
        ({"key": "a$b"}, "a$b"),
        ({"key": "../up"}, "../up"),
        ({"key": "k" * 251}, "250"),
        ({"run_id": ""}, "run_id"),
        ({"run_id": None}, "run_id"),
    ],
)
def test_a_metric_with_a_wrong_field_is_refused_by_name(api: RunningApi, change: dict[str, object], hint: str) -> None:
    good = {"run_id": api.create_run(), "key": "loss", "value": 1, "timestamp": 1, "step": 1}
    assert api.post("/runs/log-metric", good).status_code == 200
    assert hint in refused(api.post("/runs/log-metric", good | change))
    if "run_id" not in change:
        assert hint in refused(api.post("/runs/log-batch", {"run_id": good["run_id"], "metrics": [{**good, **change}]}))


@pytest.mark.parametrize(
    ("metrics", "params", "tags", "hint"),
    [
        (1001, 0, 0, "1000 metrics"),
        (0, 101, 0, "100 params"),
        (0, 0, 101, "100 tags"),
        (900, 51, 50, "1000 metrics, p"),
    ],
)
def test_a_batch_past_a_limit_is_refused_whole(
    api: RunningApi, metrics: int, params: int, tags: int, hint: str
) -> None:
    run_id = api.create_run()
    batch = {
        "run_id": run_id,
        "metrics": [{"key": "m", "value": 1, "timestamp": 1, "step": n} for n in range(metrics)],
        "params": [{"key": f"p{n}", "value": "1"} for n in range(params)],
        "tags": [{"key": f"t{n}", "value": "1"} for n in range(tags)],
    }
    assert hint in refused(api.post("/runs/log-batch", batch))
    data = api.get("/runs/get", run_id=run_id).json()["run"]["data"]
    assert "metrics" not in data
    assert "params" not in data


def test_a_batch_with_a_changed_param_logs_nothing(api: RunningApi) -> None:
    run_id = api.create_run()
    api.post("/runs/log-parameter", {"run_id": run_id, "key": "lr", "value": "1"})
    batch = {
        "run_id": run_id,
        "params": [{"key": "new", "value": "1"}, {"key": "lr", "value": "2"}],
        "metrics": [{"key": "m", "value": 1, "timestamp": 1}],
    }
    message = refused(api.post("/runs/log-batch", batch))
    assert "'1'" in message
    assert "'2'" in message
    data = api.get("/runs/get", run_id=run_id).json()["run"]["data"]
    assert data["params"] == [{"key": "lr", "value": "1"}]
    assert "metrics" not in data


def test_long_values_are_cut_as_stock_does(api: RunningApi) -> None:
    run_id = api.create_run()
    assert api.post("/runs/log-parameter", {"run_id": run_id, "key": "p", "value": "x" * 6001}).status_code == 200
    assert api.post("/runs/set-tag", {"run_id": run_id, "key": "t", "value": "x" * 8001}).status_code == 200
    data = api.get("/runs/get", run_id=run_id).json()["run"]["data"]
    assert data["params"] == [{"key": "p", "value": "x" * 6000}]
    assert {"key": "t", "value": "x" * 8000} in data["tags"]


def test_names_may_be_written_as_protobuf_json_writes_them(api: RunningApi) -> None:
    run_id = api.create_run()
    for body in (
        {"runId": run_id, "key": "m", "value": "-Infinity", "timestamp": "5", "step": "7"},
        {"run_uuid": run_id, "key": "m", "value": "1.5", "timestamp": 5.0, "step": None, "unknown": [1]},
    ):
        assert api.post("/runs/log-metric", body).status_code == 200
    twice = json.dumps({"run_id": run_id, "key": "t", "value": "twice encoded"})
    assert api.post("/runs/set-tag", twice).status_code == 200
    both = {"run_id": run_id, "runId": run_id, "key": "t"}
    assert "both" in refused(api.post("/runs/set-tag", both))
    history = api.get("/metrics/get-history", run_id=run_id, metric_key="m").json()["metrics"]
    assert history == [
        {"key": "m", "value": 1.5, "timestamp": 5, "step": 0},
        {"key": "m", "value": "-Infinity", "timestamp": 5, "step": 7},
    ]


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/runs/get", {}),
        ("/runs/get", {"run_id": "a\0b"}),
        ("/experiments/get", {"experiment_id": "abc"}),
        ("/experiments/search", {"max_results": "many"}),
        ("/experiments/search", {"view_type": "SOME"}),
        ("/experiments/search", {"filter": "name ="}),
        ("/metrics/get-history", {"run_id": "a", "metric_key": "m", "max_results": 0}),
        ("/metrics/get-history", {"run_id": "a", "metric_key": "m", "page_token": "?"}),
        ("/metrics/get-history", {"run_id": "a", "metric_key": "m", "page_token": "eyJvZmZzZXQiOiAtMX0="}),
        ("/metrics/get-history-bulk-interval", {"run_ids": "a", "metric_key": "m", "start_step": 1}),
        ("/metrics/get-history-bulk-interval", {"run_ids": "a", "metric_key": "m", "max_results": 2501}),
    ],
)
def test_a_wrong_query_is_refused(api: RunningApi, path: str, params: dict[str, str | int]) -> None:
    refused(api.get(path, **params))


def test_query_bytes_that_are_no_utf8_are_refused(api: RunningApi) -> None:
    refused(api.client.get(f"{api.url}/api/2.0/mlflow/runs/get?run_id=%ff%fe"))


def test_an_unknown_path_is_no_endpoint_in_json(api: RunningApi) -> None:
    for path in ("/api/2.0/mlflow/runs/nope", "/api/2.0/other", "/ajax-api/9.9/x", "/nope", "/api/v1/nope"):
        refused(api.client.get(api.url + path), "ENDPOINT_NOT_FOUND", 404)
    refused(api.client.get(f"{api.url}/api/2.0/mlflow/runs/create"), "ENDPOINT_NOT_FOUND", 405)


def test_a_nul_in_a_path_is_refused(api: RunningApi) -> None:
    refused(api.client.get(f"{api.url}/api/v1/runs/%00/delivery"))


def test_a_workspace_is_refused_but_server_info_answers(api: RunningApi) -> None:
    headers = {"X-MLFLOW-WORKSPACE": "team"}
    assert "workspace" in refused(api.client.get(f"{api.url}/api/2.0/mlflow/experiments/search", headers=headers))
    info = api.client.get(f"{api.url}/api/3.0/mlflow/server-info", headers=headers).json()
    assert info["workspaces_enabled"] is False
    assert info["multipart_uploads_enabled"] is False


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["0", "1", "ALL"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["key", "value", "step"]), inner),
    max_leaves=6,
)
names = st.sampled_from(
    ["run_id", "experiment_id", "key", "value", "timestamp", "step", "metrics", "params", "tags", "name", "new_name",
     "status", "end_time", "start_time", "run_name", "filter", "order_by", "max_results", "page_token",
     "experiment_ids", "run_view_type", "view_type", "datasets", "models"]
)  # fmt: skip


@settings(max_examples=examples(50, 150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(JSON_ROUTES), st.dictionaries(names, anything, max_size=6))
def test_no_json_gets_a_500(api: RunningApi, path: str, body: dict[str, object]) -> None:
    content = json.dumps(body).encode()
    response = api.client.post(f"{api.url}/api/2.0/mlflow{path}?consistency=eventual", content=content)
    assert response.status_code < 500, (path, body, response.text)
