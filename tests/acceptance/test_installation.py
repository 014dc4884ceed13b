"""What a team sees of one installation: SDK and MLflow side by side, files, search, history, restarts, bad input."""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

import mltrail
from tests.acceptance.stack import Stack, StackOf, start_projecting, wait_for


@pytest.fixture(scope="module", params=["folder", "services"])
def stack(request: pytest.FixtureRequest, a_stack: StackOf) -> Iterator[Stack]:
    with a_stack(request.param) as stack:
        yield stack


@pytest.fixture(scope="module")
def client(stack: Stack) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(stack.uri)


def log_a_run(stack: Stack, folder: Path, name: str) -> str:
    """Log a small run through the SDK over HTTP, and return its id once everything is acknowledged."""
    file = folder / "confusion.txt"
    file.write_text("1 0\n0 1\n")
    mltrail.init(stack.uri, record_code=False, record_environment=False)
    with mltrail.start_run(experiment="iris", name=name) as run:
        run.log_params({"lr": 0.1, "depth": 3})
        for step in range(50):
            run.log_metric("loss", 1 / (step + 1), step=step)
        run.log_series("acc", range(100), [step / 100 for step in range(100)])
        run.log_metric("nan", math.nan, step=1)
        run.set_tag("team", "vision")
        run.log_artifact(file)
    return run.id


def test_mlflow_sees_what_the_sdk_logged(stack: Stack, client: mlflow.MlflowClient, tmp_path: Path) -> None:
    run_id = log_a_run(stack, tmp_path, "gbm")
    run = client.get_run(run_id)
    assert (run.info.run_name, run.info.status) == ("gbm", "FINISHED")
    assert run.data.params == {"lr": "0.1", "depth": "3"}
    assert run.data.metrics["loss"] == 1 / 50
    assert math.isnan(run.data.metrics["nan"])
    assert run.data.tags["team"] == "vision"
    assert [point.value for point in client.get_metric_history(run_id, "acc")] == [step / 100 for step in range(100)]
    assert [file.path for file in client.list_artifacts(run_id)] == ["confusion.txt"]
    downloaded = mlflow.artifacts.download_artifacts(
        run_id=run_id, artifact_path="confusion.txt", dst_path=str(tmp_path / "down"), tracking_uri=stack.uri
    )
    assert Path(downloaded).read_text() == "1 0\n0 1\n"
    experiment = client.get_experiment_by_name("iris")
    assert experiment is not None
    found = client.search_runs(
        [experiment.experiment_id], "metrics.loss < 0.5 and params.lr = '0.1' and tags.team = 'vision'"
    )
    assert run_id in [found_run.info.run_id for found_run in found]


def test_sdk_reads_what_mlflow_logged(stack: Stack, client: mlflow.MlflowClient) -> None:
    experiment_id = client.create_experiment("from-mlflow")
    run_id = client.create_run(experiment_id, run_name="theirs").info.run_id
    client.log_param(run_id, "lr", 0.5)
    for step in range(5):
        client.log_metric(run_id, "loss", float(step), step=step)
    mltrail.init(stack.uri)
    snapshot = mltrail.get_run(run_id)
    assert snapshot.params == {"lr": "0.5"}
    assert [point.value for point in mltrail.metric_history(run_id, "loss")] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert [run.id for run in mltrail.search_runs("from-mlflow", "metrics.loss = 4")] == [run_id]


def test_commands_show_run_history_and_delivery(stack: Stack, client: mlflow.MlflowClient, tmp_path: Path) -> None:
    run_id = log_a_run(stack, tmp_path, "shown")
    client.set_tag(run_id, "team", "audio")
    shown = stack.run("runs", "show", run_id)
    assert shown.returncode == 0, shown.stderr
    assert "missing none" in shown.stdout
    history = stack.run("runs", "history", run_id)
    assert history.returncode == 0, history.stderr
    assert "audio" in history.stdout
    assert "claimed" in history.stdout
    listed = stack.json("runs", "list")
    assert run_id in json.dumps(listed)
    status = stack.json("log", "status")
    assert status["durability"] == "fsync"


def test_everything_is_there_after_a_restart_and_a_rebuild(
    stack: Stack, client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    run_id = log_a_run(stack, tmp_path, "kept")
    before = repr(client.get_run(run_id).to_dictionary())  # repr: NaN is not equal to itself
    for server in (stack.api, stack.projector):
        server.stop()
    stack.api.start()
    start_projecting(stack)
    assert repr(client.get_run(run_id).to_dictionary()) == before
    assert stack.json("rebuild")["is_equal"] is True
    assert repr(client.get_run(run_id).to_dictionary()) == before


def test_stopped_projector_delays_reads_and_loses_no_write(stack: Stack, client: mlflow.MlflowClient) -> None:
    experiment_id = client.create_experiment("patience")
    run_id = client.create_run(experiment_id).info.run_id
    stack.projector.stop()
    try:
        for step in range(20):
            client.log_metric(run_id, "loss", float(step), step=step)
    finally:
        stack.projector.start()
    wait_for(lambda: len(client.get_metric_history(run_id, "loss")) == 20, 30, "20 points are read")


def call(stack: Stack, method: str, path: str, body: bytes | None) -> tuple[int, dict[str, object]]:
    request = urllib.request.Request(f"{stack.uri}{path}", data=body, method=method)
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/api/2.0/mlflow/runs/get?run_id=" + "0" * 32, None, 404, "RESOURCE_DOES_NOT_EXIST"),
        ("POST", "/api/2.0/mlflow/runs/log-metric", b"{", 400, None),
        ("POST", "/api/2.0/mlflow/runs/log-metric", b"[]", 400, None),
        ("POST", "/api/2.0/mlflow/runs/log-metric", b'{"run_id": 3, "key": {}}', 400, "INVALID_PARAMETER_VALUE"),
        ("POST", "/api/2.0/mlflow/runs/create", b'{"experiment_id": "nope"}', None, None),
        ("POST", "/api/2.0/mlflow/runs/search", b'{"experiment_ids": ["0"], "filter": "a <"}', 400, None),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/..%2f..%2fetc%2fpasswd", None, 400, None),
        ("GET", "/api/2.0/mlflow/no-such-endpoint", None, 404, "ENDPOINT_NOT_FOUND"),
        ("POST", "/api/v1/records", b"junk", 400, None),
    ],
)
def test_bad_input_is_told_what_is_wrong(
    stack: Stack, method: str, path: str, body: bytes | None, status: int | None, code: str | None
) -> None:
    answered, said = call(stack, method, path, body)
    assert 400 <= answered < 500
    assert said["message"]
    assert status in (None, answered)
    assert code in (None, said["error_code"])
