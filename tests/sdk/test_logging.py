"""What training code logs into a folder is what the read model holds."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import mltrail
from mltrail._points import ENTRIES
from tests.sdk.projected import ProjectedLog


def test_everything_a_run_logs_arrives_once_and_nothing_is_missing(folder: Path, projected: ProjectedLog) -> None:
    mltrail.init(folder)
    with mltrail.start_run(experiment="iris", name="gbm", tags={"team": "vision"}) as run:
        run.log_param("lr", 0.1)
        run.log_params({"depth": 3, "loss/name": "log"})
        run.log_metric("loss", 0.5, step=1)
        run.log_metrics({"acc": 0.9, "f1": 0.8}, step=1)
        run.log_metric("loss", math.inf, step=2)
        run.set_tag("stage", "first")
        run.set_tags({"stage": "second", "ünïcode 日本": "値"})
    row = projected.run(run.id)
    assert (row["name"], row["status"]) == ("gbm", "FINISHED")
    assert isinstance(row["ended_us"], int)
    assert isinstance(row["started_us"], int)
    assert row["ended_us"] >= row["started_us"]
    assert {"experiment_id": row["experiment_id"], "name": "iris"}.items() <= {
        k: v for r in projected.rows("experiments") if r["name"] == "iris" for k, v in r.items()
    }.items()
    assert projected.params(run.id) == {"lr": "0.1", "depth": "3", "loss/name": "log"}
    assert [(p.key, p.value, p.step) for p in projected.points(run.id)] == [
        ("loss", 0.5, 1),
        ("acc", 0.9, 1),
        ("f1", 0.8, 1),
        ("loss", math.inf, 2),
    ]
    assert {"team": "vision", "stage": "second", "ünïcode 日本": "値"}.items() <= projected.tags(run.id).items()
    projected.assert_complete(run.id)


def test_a_run_records_where_it_ran(folder: Path, projected: ProjectedLog) -> None:
    mltrail.init(folder)
    with mltrail.start_run() as run:
        pass
    tags = projected.tags(run.id)
    assert tags["mlflow.source.type"] == "LOCAL"
    assert tags["mlflow.user"] == projected.run(run.id)["user"]
    assert tags["mlflow.source.name"]
    assert tags["mltrail.entry_point"]


def test_a_run_that_names_no_experiment_goes_to_the_default_one(folder: Path, projected: ProjectedLog) -> None:
    mltrail.init(folder)
    with mltrail.start_run() as run:
        pass
    assert projected.run(run.id)["experiment_id"] == "0"
    assert [row["name"] for row in projected.rows("experiments")] == ["Default"]


def test_the_experiment_of_init_is_taken_when_the_run_names_none(folder: Path, projected: ProjectedLog) -> None:
    mltrail.init(folder, experiment="cifar")
    with mltrail.start_run() as first:
        pass
    with mltrail.start_run() as second:
        pass
    ids = {row["name"]: row["experiment_id"] for row in projected.rows("experiments")}
    assert projected.run(first.id)["experiment_id"] == ids["cifar"] == projected.run(second.id)["experiment_id"]


def test_the_uri_comes_from_the_environment(
    folder: Path, projected: ProjectedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLTRAIL_URI", str(folder))
    monkeypatch.setenv("MLTRAIL_EXPERIMENT", "from outside")
    with mltrail.start_run() as run:
        pass
    assert projected.run(run.id)["status"] == "FINISHED"
    assert "from outside" in [row["name"] for row in projected.rows("experiments")]


def test_init_says_once_where_data_goes_and_how_to_see_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mltrail.init(folder)
    mltrail.init(folder)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"mltrail server --data {folder}" in said


def test_what_is_logged_after_the_end_is_counted_not_raised(
    folder: Path, projected: ProjectedLog, caplog: pytest.LogCaptureFixture
) -> None:
    mltrail.init(folder)
    with mltrail.start_run() as run:
        run.log_metric("loss", 1.0)
    run.log_metric("loss", 2.0)
    run.log_param("late", 1)
    run.end()
    with mltrail.start_run() as other:
        other.log_metric("loss", 3.0)
    assert "their run had ended" in caplog.text
    assert projected.values(run.id, "loss") == [1.0]
    assert projected.params(run.id) == {}


def test_a_full_buffer_blocks_once_then_drops_and_says_so(
    folder: Path, projected: ProjectedLog, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    mltrail.init(folder, block_timeout_s=0.05)
    session = mltrail._fluent.current_session()
    monkeypatch.setattr(session.outbox, "has_room", lambda: False)  # as during an outage
    monkeypatch.setattr(session.buffer, "_max_entries", 100 * ENTRIES)
    with mltrail.start_run() as run:
        session.buffer.mark = 100 * ENTRIES
        for step in range(150):
            run.log_metric("loss", float(step), step)
        monkeypatch.undo()
    kept = projected.values(run.id, "loss")
    assert kept == [float(step) for step in range(100)]
    assert session.losses.counts() == {"points dropped, the buffer is full": 50}
    assert "the buffer is full" in caplog.text
    projected.assert_complete(run.id)
