"""The stock `mlflow` client against our API."""

from __future__ import annotations

import math

import mlflow
import pytest

from tests.api.running import RunningApi


@pytest.fixture
def client(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> mlflow.MlflowClient:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # a failure shows at once, not after minutes
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    return mlflow.MlflowClient(api.url)


def test_an_experiment_is_created_found_renamed_tagged_deleted_and_restored(client: mlflow.MlflowClient) -> None:
    experiment_id = client.create_experiment("life of an experiment", tags={"team": "vision"})
    found = client.get_experiment(experiment_id)
    assert (found.name, found.lifecycle_stage, found.tags) == ("life of an experiment", "active", {"team": "vision"})
    assert found.artifact_location == f"mlflow-artifacts:/{experiment_id}"
    by_name = client.get_experiment_by_name("life of an experiment")
    assert by_name is not None
    assert by_name.experiment_id == experiment_id
    assert client.get_experiment_by_name("nobody has this name") is None
    client.rename_experiment(experiment_id, "renamed")
    client.set_experiment_tag(experiment_id, "team", "audio")
    assert client.get_experiment(experiment_id).name == "renamed"
    assert client.get_experiment(experiment_id).tags == {"team": "audio"}
    client.delete_experiment_tag(experiment_id, "team")
    client.delete_experiment(experiment_id)
    assert client.get_experiment(experiment_id).lifecycle_stage == "deleted"
    assert experiment_id not in [found.experiment_id for found in client.search_experiments()]
    client.restore_experiment(experiment_id)
    assert client.get_experiment(experiment_id).tags == {}
    assert experiment_id in [found.experiment_id for found in client.search_experiments()]


def test_the_default_experiment_is_there(client: mlflow.MlflowClient) -> None:
    assert client.get_experiment("0").name == "Default"


def test_what_a_run_logged_is_read_back_at_once(client: mlflow.MlflowClient) -> None:
    run = client.create_run(client.create_experiment("a whole run"), run_name="first", tags={"mlflow.user": "ada"})
    run_id = run.info.run_id
    assert run.info.artifact_uri == f"mlflow-artifacts:/{run.info.experiment_id}/{run_id}/artifacts"
    client.log_param(run_id, "lr", 0.1)
    client.log_metric(run_id, "loss", 0.5, timestamp=1000, step=1)
    client.log_batch(
        run_id,
        metrics=[
            mlflow.entities.Metric("loss", 0.25, 2000, 2),
            mlflow.entities.Metric("nan", math.nan, 1000, 0),
            mlflow.entities.Metric("inf", math.inf, 1000, 0),
            mlflow.entities.Metric("-inf", -math.inf, 1000, -3),
        ],
        params=[mlflow.entities.Param("depth", "3")],
        tags=[mlflow.entities.RunTag("team", "vision")],
    )
    client.set_tag(run_id, "note", "ü" * 10)
    found = client.get_run(run_id)
    assert found.data.params == {"lr": "0.1", "depth": "3"}
    assert found.data.tags == {
        "mlflow.user": "ada", "mlflow.runName": "first", "team": "vision", "note": "ü" * 10
    }  # fmt: skip
    assert {key: value for key, value in found.data.metrics.items() if key != "nan"} == {
        "loss": 0.25, "inf": math.inf, "-inf": -math.inf
    }  # fmt: skip
    assert math.isnan(found.data.metrics["nan"])
    assert found.info.status == "RUNNING"
    client.set_terminated(run_id, "FAILED", end_time=5000)
    ended = client.get_run(run_id).info
    assert (ended.status, ended.end_time, ended.run_name) == ("FAILED", 5000, "first")


def test_a_run_without_a_name_gets_one(client: mlflow.MlflowClient) -> None:
    run = client.create_run("0")
    assert run.info.run_name
    assert client.get_run(run.info.run_id).data.tags["mlflow.runName"] == run.info.run_name


def test_a_run_is_renamed_by_its_tag_and_by_update(client: mlflow.MlflowClient) -> None:
    run_id = client.create_run("0", run_name="one").info.run_id
    client.set_tag(run_id, "mlflow.runName", "two")
    assert client.get_run(run_id).info.run_name == "two"
    client.update_run(run_id, name="three")
    assert client.get_run(run_id).data.tags["mlflow.runName"] == "three"


def test_metric_history_is_whole_however_it_is_paged(
    client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = client.create_run("0").info.run_id
    points = [mlflow.entities.Metric("loss", step / 7, 1000 + step, step) for step in range(2500)]
    for start in range(0, len(points), 1000):
        client.log_batch(run_id, metrics=points[start : start + 1000])
    client.log_batch(run_id, metrics=points[:10])  # sent twice, as a client that lost the answer does
    found = client.get_metric_history(run_id, "loss")
    assert [(point.step, point.value, point.timestamp) for point in found] == [
        (point.step, point.value, point.timestamp) for point in points
    ]
    assert client.get_metric_history(run_id, "none") == []


def test_a_param_that_changes_is_refused_with_both_values(client: mlflow.MlflowClient) -> None:
    run_id = client.create_run("0").info.run_id
    client.log_param(run_id, "lr", "0.125")
    client.log_param(run_id, "lr", "0.125")
    with pytest.raises(mlflow.MlflowException, match=r"(?s)0\.125.*0\.25") as raised:
        client.log_param(run_id, "lr", "0.25")
    assert raised.value.error_code == "INVALID_PARAMETER_VALUE"
    assert client.get_run(run_id).data.params == {"lr": "0.125"}


def test_a_deleted_run_takes_nothing_until_it_is_restored(client: mlflow.MlflowClient) -> None:
    experiment_id = client.create_experiment("deleting")
    run_id = client.create_run(experiment_id).info.run_id
    client.log_metric(run_id, "loss", 1)
    client.delete_run(run_id)
    with pytest.raises(mlflow.exceptions.RestException, match="deleted") as raised:
        client.log_metric(run_id, "loss", 2)
    assert raised.value.error_code == "INVALID_PARAMETER_VALUE"
    assert client.get_run(run_id).info.lifecycle_stage == "deleted"
    assert [run.info.run_id for run in client.search_runs([experiment_id])] == []
    assert len(client.search_runs([experiment_id], run_view_type=mlflow.entities.ViewType.DELETED_ONLY)) == 1
    client.restore_run(run_id)
    client.log_metric(run_id, "loss", 2)
    client.delete_experiment(experiment_id)
    with pytest.raises(mlflow.exceptions.RestException, match="deleted"):
        client.log_metric(run_id, "loss", 3)
    with pytest.raises(mlflow.exceptions.RestException, match="deleted"):
        client.create_run(experiment_id)
    client.restore_experiment(experiment_id)
    client.log_metric(run_id, "loss", 3)
    assert client.get_run(run_id).data.metrics == {"loss": 3}


def test_datasets_and_models_of_a_run_are_shown(client: mlflow.MlflowClient) -> None:
    run_id = client.create_run("0").info.run_id
    dataset = mlflow.entities.Dataset("iris", "d1", "local", "{}", schema="[]", profile=None)
    client.log_inputs(
        run_id,
        datasets=[mlflow.entities.DatasetInput(dataset, [mlflow.entities.InputTag("mlflow.data.context", "training")])],
        models=[mlflow.entities.LoggedModelInput("m-" + "1" * 32)],
    )
    client.log_outputs(run_id, [mlflow.entities.LoggedModelOutput("m-" + "2" * 32, step=7)])
    run = client.get_run(run_id)
    assert run.inputs is not None
    assert run.outputs is not None
    [shown] = run.inputs.dataset_inputs
    assert (shown.dataset.name, shown.dataset.digest, shown.dataset.schema) == ("iris", "d1", "[]")
    assert [(tag.key, tag.value) for tag in shown.tags] == [("mlflow.data.context", "training")]
    assert [model.model_id for model in run.inputs.model_inputs] == ["m-" + "1" * 32]
    assert [(model.model_id, model.step) for model in run.outputs.model_outputs] == [("m-" + "2" * 32, 7)]


def test_search_finds_what_was_logged_a_moment_ago(client: mlflow.MlflowClient) -> None:
    experiment_id = client.create_experiment("searching")
    for number in range(5):
        run_id = client.create_run(experiment_id).info.run_id
        client.log_metric(run_id, "acc", number / 4)
    found = client.search_runs([experiment_id], "metrics.acc > 0.5", order_by=["metrics.acc DESC"])
    assert [run.data.metrics["acc"] for run in found] == [1.0, 0.75]
    assert len(client.search_runs([experiment_id], max_results=3)) == 3
    page = client.search_runs([experiment_id], max_results=3)
    assert len(client.search_runs([experiment_id], max_results=3, page_token=page.token)) == 2


@pytest.mark.parametrize("name", ["create twice", "delete, then create"])
def test_a_name_that_is_taken_is_refused(client: mlflow.MlflowClient, name: str) -> None:
    experiment_id = client.create_experiment(name)
    if "delete" in name:
        client.delete_experiment(experiment_id)
    with pytest.raises(mlflow.exceptions.RestException) as raised:
        client.create_experiment(name)
    assert raised.value.error_code == "RESOURCE_ALREADY_EXISTS"


def test_what_is_not_there_is_not_found(client: mlflow.MlflowClient) -> None:
    run_id = client.create_run("0").info.run_id
    for ask in (
        lambda: client.get_run("f" * 32),
        lambda: client.log_metric("f" * 32, "loss", 1),
        lambda: client.log_param("f" * 32, "lr", 1),
        lambda: client.get_experiment("123456"),
        lambda: client.create_run("123456"),
        lambda: client.delete_tag(run_id, "no such tag"),
        lambda: client.delete_run("f" * 32),
    ):
        with pytest.raises(mlflow.exceptions.RestException) as raised:
            ask()
        assert raised.value.error_code == "RESOURCE_DOES_NOT_EXIST"
