"""Runs through the fluent API and `MlflowClient`, written by the SDK and read back over REST."""

from __future__ import annotations

import math
from pathlib import Path

import mlflow
import pytest

from tests.thorough import examples

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow about itself
STEPS = examples(400, 2000)


def test_what_the_fluent_api_logs_is_read_back_at_once(tracking_uri: str) -> None:
    with mlflow.start_run(run_name="gbm", tags={"team": "vision"}) as run:
        mlflow.log_param("lr", 0.1)
        mlflow.log_params({"depth": 3, "trees": "many"})
        mlflow.log_metric("loss", 0.5, step=1)
        mlflow.log_metrics({"loss": 0.25, "acc": 0.9}, step=2)
        mlflow.log_metric("odd", math.nan)
        mlflow.set_tags({"phase": "first"})
        mlflow.set_tag("phase", "second")
        seen = mlflow.get_run(run.info.run_id)
        assert seen.info.status == "RUNNING"
        assert seen.data.params == {"lr": "0.1", "depth": "3", "trees": "many"}
        assert seen.data.metrics["loss"] == 0.25
        assert math.isnan(seen.data.metrics["odd"])
        assert (seen.data.tags["team"], seen.data.tags["phase"]) == ("vision", "second")
    ended = mlflow.get_run(run.info.run_id)
    assert (ended.info.status, ended.info.run_name) == ("FINISHED", "gbm")
    assert ended.info.end_time is not None
    assert ended.info.end_time >= ended.info.start_time
    found = mlflow.search_runs(filter_string="metrics.loss < 0.3 and params.depth = '3'", output_format="list")
    assert [one.info.run_id for one in found] == [run.info.run_id]


def test_every_point_arrives_with_its_step_and_time(tracking_uri: str) -> None:
    client = mlflow.MlflowClient()
    with mlflow.start_run() as run:
        for step in range(STEPS):
            mlflow.log_metric("loss", 1.0 / (step + 1), step=step)
        mlflow.log_metric("late", 1.0, step=7, timestamp=1_600_000_000_123)
        history = client.get_metric_history(run.info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(step, 1.0 / (step + 1)) for step in range(STEPS)]
    [late] = client.get_metric_history(run.info.run_id, "late")
    assert (late.step, late.timestamp) == (7, 1_600_000_000_123)


def test_a_client_creates_fills_and_ends_runs_by_their_id(tracking_uri: str) -> None:
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(str(mlflow.get_experiment(_experiment_id()).name))
    assert experiment is not None
    run_id = client.create_run(experiment.experiment_id).info.run_id
    client.log_batch(
        run_id,
        [mlflow.entities.Metric("loss", 0.5, 1000, 1), mlflow.entities.Metric("loss", 0.4, 2000, 2)],
        [mlflow.entities.Param("lr", "0.1")],
        [mlflow.entities.RunTag("a", "b")],
    )
    client.delete_tag(run_id, "a")
    client.set_terminated(run_id, "FAILED", end_time=1_900_000_000_000)
    ended = client.get_run(run_id)
    assert (ended.info.status, ended.info.end_time) == ("FAILED", 1_900_000_000_000)
    assert ended.data.metrics == {"loss": 0.4}
    assert "a" not in ended.data.tags
    client.log_metric(run_id, "after", 1.0)  # as evaluations do, once the training has ended
    client.update_run(run_id, name="renamed")
    again = client.get_run(run_id)
    assert (again.info.run_name, again.info.status, again.data.metrics["after"]) == ("renamed", "FAILED", 1.0)


def test_nested_runs_and_runs_that_go_on(tracking_uri: str) -> None:
    with mlflow.start_run() as parent:
        for depth in (1, 2):
            with mlflow.start_run(nested=True):
                mlflow.log_param("depth", depth)
                mlflow.log_metric("score", 1.0 / depth)
        children = mlflow.search_runs(
            filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'",
            order_by=["metrics.score DESC"],
            output_format="list",
        )
        assert [child.data.params["depth"] for child in children] == ["1", "2"]
    with mlflow.start_run(run_id=parent.info.run_id):
        assert mlflow.get_run(parent.info.run_id).info.status == "RUNNING"
        mlflow.log_metric("more", 1.0)
    ended = mlflow.get_run(parent.info.run_id)
    assert (ended.info.status, ended.data.metrics["more"]) == ("FINISHED", 1.0)


def test_a_failed_training_is_failed(tracking_uri: str) -> None:
    with pytest.raises(ZeroDivisionError), mlflow.start_run() as run:
        mlflow.log_metric("loss", 1 / 0)
    assert mlflow.get_run(run.info.run_id).info.status == "FAILED"


def test_asynchronous_logging_is_done_at_once(tracking_uri: str) -> None:
    with mlflow.start_run() as run:
        done = [
            mlflow.log_metric("loss", 0.5, synchronous=False),
            mlflow.log_params({"lr": 0.1}, synchronous=False),
            mlflow.set_tag("team", "vision", synchronous=False),
        ]
        for operation in done:
            assert operation is not None
            operation.wait()  # type: ignore[no-untyped-call]
        refused = mlflow.log_param("lr", 0.2, synchronous=False)
        with pytest.raises(mlflow.MlflowException, match="params never change"):
            refused.wait()
        mlflow.flush_async_logging()
        seen = mlflow.get_run(run.info.run_id)
    assert (seen.data.metrics, seen.data.params, seen.data.tags["team"]) == ({"loss": 0.5}, {"lr": "0.1"}, "vision")


def test_what_is_wrong_in_itself_raises_and_logs_nothing(tracking_uri: str) -> None:
    client = mlflow.MlflowClient()
    with mlflow.start_run() as run:
        mlflow.log_param("lr", 0.1)
        with pytest.raises(mlflow.MlflowException, match="params never change"):
            mlflow.log_params({"new": 1, "lr": 0.2})
        with pytest.raises(mlflow.MlflowException, match="key"):
            mlflow.log_metrics({"fine": 1.0, "no\nkey": 1.0})
        with pytest.raises(mlflow.MlflowException, match="timestamp"):
            mlflow.log_metric("loss", 1.0, timestamp=-1)
        seen = mlflow.get_run(run.info.run_id)
    assert (seen.data.params, seen.data.metrics) == ({"lr": "0.1"}, {})
    with pytest.raises(mlflow.MlflowException, match="not found"):
        client.log_metric("0" * 32, "loss", 1.0)
    client.delete_run(run.info.run_id)
    with pytest.raises(mlflow.MlflowException, match="active"):
        client.log_metric(run.info.run_id, "loss", 1.0)


def test_files_of_runs_are_listed_read_and_overwritten(tracking_uri: str, tmp_path: Path) -> None:
    client = mlflow.MlflowClient()
    (tmp_path / "weights.bin").write_bytes(b"w" * 100_000)
    (tmp_path / "plots" / "deep").mkdir(parents=True)
    (tmp_path / "plots" / "roc.txt").write_text("roc")
    (tmp_path / "plots" / "deep" / "pr.txt").write_text("pr")
    with mlflow.start_run() as run:
        run_id = run.info.run_id
        mlflow.log_text("first", "notes/a.txt")
        mlflow.log_text("second", "notes/a.txt")
        mlflow.log_dict({"lr": 0.1}, "config.json")
        mlflow.log_artifact(str(tmp_path / "weights.bin"), "model")
        mlflow.log_artifacts(str(tmp_path / "plots"), "plots")
        mlflow.log_table({"q": ["a"], "a": ["b"]}, "table.json")
        mlflow.log_table({"q": ["c"], "a": ["d"]}, "table.json")
        with pytest.raises(mlflow.MlflowException, match="Invalid artifact path"):
            mlflow.log_text("out", "../out.txt")
        assert sorted(file.path for file in client.list_artifacts(run_id)) == [
            "config.json", "model", "notes", "plots", "table.json",
        ]  # fmt: skip
    assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/notes/a.txt") == "second"
    assert mlflow.artifacts.load_dict(f"runs:/{run_id}/config.json") == {"lr": 0.1}
    downloaded = Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="plots"))
    assert (downloaded / "deep" / "pr.txt").read_text() == "pr"
    assert Path(client.download_artifacts(run_id, "model/weights.bin")).stat().st_size == 100_000
    assert list(mlflow.load_table("table.json", run_ids=[run_id])["q"]) == ["a", "c"]
    assert run.info.artifact_uri is not None
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/")


def _experiment_id() -> str:
    return str(mlflow.tracking.fluent._get_experiment_id())
