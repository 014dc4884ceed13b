"""`mlflow experiments`, `mlflow runs` and `mlflow artifacts`, as a shell calls them."""

from __future__ import annotations

import csv
import importlib
import json
from pathlib import Path

import click
import mlflow
import pytest
from click.testing import CliRunner

from tests.ecosystem.conftest import Tracking

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow's own


def commands_of(name: str) -> click.Group:
    """Return a part of the command line of MLflow, by its module."""
    found = importlib.import_module(f"mlflow.{name}").commands
    assert isinstance(found, click.Group)
    return found


def said(commands: click.Group, *arguments: str) -> str:
    """Return what a command prints; it succeeds."""
    done = CliRunner().invoke(commands, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_experiments_are_made_found_renamed_deleted_and_restored(tracking: Tracking) -> None:
    commands = commands_of("experiments")
    experiment_id = said(commands, "create", "--experiment-name", "from a shell").split()[-1]
    assert tracking.client.get_experiment(experiment_id).name == "from a shell"
    assert "from a shell" in said(commands, "search")
    said(commands, "rename", "--experiment-id", experiment_id, "--new-name", "from a terminal")
    said(commands, "delete", "--experiment-id", experiment_id)
    assert "from a terminal" not in said(commands, "search")
    assert "from a terminal" in said(commands, "search", "--view", "deleted_only")
    said(commands, "restore", "--experiment-id", experiment_id)
    assert tracking.client.get_experiment(experiment_id).lifecycle_stage == "active"


def test_the_runs_of_an_experiment_become_a_table(tracking: Tracking, tmp_path: Path) -> None:
    with mlflow.start_run(run_name="one") as run:
        mlflow.log_params({"lr": 0.1})
        mlflow.log_metric("loss", 0.25)
    file = tmp_path / "runs.csv"
    said(commands_of("experiments"), "csv", "--experiment-id", tracking.experiment_id, "--filename", str(file))
    with file.open() as rows:
        [row] = csv.DictReader(rows)
    assert (row["run_id"], row["params.lr"], row["metrics.loss"]) == (run.info.run_id, "0.1", "0.25")


def test_runs_are_listed_described_deleted_and_restored(tracking: Tracking) -> None:
    commands = commands_of("runs")
    with mlflow.start_run(run_name="to be described") as run:
        mlflow.log_metric("loss", 0.25)
        mlflow.set_tag("team", "vision")
    run_id = run.info.run_id
    listed = said(commands, "list", "--experiment-id", tracking.experiment_id)
    assert run_id in listed
    assert "to be described" in listed
    described = json.loads(said(commands, "describe", "--run-id", run_id))
    assert (described["info"]["status"], described["data"]["metrics"]) == ("FINISHED", {"loss": 0.25})
    assert described["data"]["tags"]["team"] == "vision"
    said(commands, "delete", "--run-id", run_id)
    assert run_id not in said(commands, "list", "--experiment-id", tracking.experiment_id)
    said(commands, "restore", "--run-id", run_id)
    assert tracking.client.get_run(run_id).info.lifecycle_stage == "active"


def test_artifacts_are_logged_listed_and_fetched(tracking: Tracking, tmp_path: Path) -> None:
    commands = commands_of("store.artifact.cli")
    run_id = tracking.client.create_run(tracking.experiment_id).info.run_id
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").write_text("one")
    (tmp_path / "b.txt").write_text("two")
    said(commands, "log-artifacts", "--local-dir", str(tmp_path / "out"), "--run-id", run_id, "--artifact-path", "deep")
    said(commands, "log-artifact", "--local-file", str(tmp_path / "b.txt"), "--run-id", run_id)
    assert tracking.files(run_id) == ["b.txt", "deep/a.txt"]
    listed = json.loads(said(commands, "list", "--run-id", run_id))
    assert listed == [{"path": "b.txt", "is_dir": False, "file_size": 3}, {"path": "deep", "is_dir": True}]
    target = tmp_path / "fetched"
    target.mkdir()
    said(commands, "download", "--run-id", run_id, "--artifact-path", "deep", "--dst-path", str(target))
    assert (target / "deep" / "a.txt").read_text() == "one"
