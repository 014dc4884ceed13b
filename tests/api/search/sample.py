"""Runs and experiments for the tests of search: rows written straight into a read model, and the same for MLflow."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import mlflow

from mltrail_core.readmodel.store import ReadModel
from mltrail_core.readmodel.tables import (
    dataset_inputs,
    experiment_aliases,
    experiment_tags,
    experiments,
    metric_summaries,
    model_inputs,
    model_outputs,
    params,
    runs,
    tags,
)

EXPERIMENT_ID = "7"


@dataclass(frozen=True, slots=True)
class SampleDataset:
    """A dataset that a run read; `context` None leaves the tag out."""

    name: str
    digest: str = "d"
    context: str | None = None


@dataclass(frozen=True, slots=True)
class SampleRun:
    """A run as a test wants it."""

    run_id: str
    experiment_id: str = EXPERIMENT_ID
    name: str = "run"
    user: str = "ann"
    status: str = "FINISHED"
    started_us: int = 1_000_000
    ended_us: int | None = None
    is_deleted: bool = False
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    datasets: tuple[SampleDataset, ...] = ()
    input_models: tuple[str, ...] = ()
    output_models: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class SampleExperiment:
    """An experiment as a test wants it; `aliases` are ids that trainers proposed for it."""

    experiment_id: str = EXPERIMENT_ID
    name: str = "iris"
    artifact_location: str | None = None
    is_deleted: bool = False
    created_us: int = 1_000_000
    updated_us: int = 1_000_000
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()


def fill(
    read_model: ReadModel,
    sample_runs: Iterable[SampleRun] = (),
    sample_experiments: Iterable[SampleExperiment] = (SampleExperiment(),),
) -> None:
    """Replace all runs and experiments of the read model by these."""
    rows: dict[str, list[dict[str, object]]] = {}
    for experiment in sample_experiments:
        _add_experiment(rows, experiment)
    for run in sample_runs:
        _add_run(rows, run)
    with read_model.writing(read_model.live_generation()) as connection:
        for table in (
            *(experiments, experiment_aliases, experiment_tags, runs, params, tags, metric_summaries),
            *(dataset_inputs, model_inputs, model_outputs),
        ):
            connection.execute(table.delete())
            if table.name in rows:
                connection.execute(table.insert(), rows[table.name])


def _add_experiment(rows: dict[str, list[dict[str, object]]], experiment: SampleExperiment) -> None:
    own: dict[str, object] = {"experiment_id": experiment.experiment_id}
    rows.setdefault("experiments", []).append(
        own
        | {
            "name": experiment.name,
            "artifact_location": experiment.artifact_location,
            "is_deleted": experiment.is_deleted,
            "created_us": experiment.created_us,
            "updated_us": experiment.updated_us,
            "actor": "ann",
            "actor_known": "claimed",
        }
    )
    for alias in experiment.aliases:
        rows.setdefault("experiment_aliases", []).append(own | {"proposed_id": alias})
    for key, value in experiment.tags.items():
        rows.setdefault("experiment_tags", []).append(own | {"key": key, "value": value})


def _add_run(rows: dict[str, list[dict[str, object]]], run: SampleRun) -> None:
    own: dict[str, object] = {"run_id": run.run_id}
    rows.setdefault("runs", []).append(
        own
        | {
            "experiment_id": run.experiment_id,
            "name": run.name,
            "user": run.user,
            "status": run.status,
            "started_us": run.started_us,
            "ended_us": run.ended_us,
            "is_deleted": run.is_deleted,
            "deleted_us": None,
            "created_us": run.started_us,
            "actor": run.user,
            "actor_known": "claimed",
        }
    )
    for table, pairs in (("params", run.params), ("tags", run.tags)):
        rows.setdefault(table, []).extend(own | {"key": key, "value": value} for key, value in pairs.items())
    for key, number in run.metrics.items():
        value = None if math.isnan(number) else number
        rows.setdefault("metric_summaries", []).append(
            own
            | {"key": key, "logged_points": 1}
            | {"last_step": 3, "last_time_us": 2_000, "last_value": value}
            | {"first_step": 3, "first_time_us": 2_000, "first_value": value}
            | {"min_value": value, "min_step": 3, "max_value": value, "max_step": 3}
        )
    for dataset in run.datasets:
        context = {} if dataset.context is None else {"mlflow.data.context": dataset.context}
        rows.setdefault("dataset_inputs", []).append(
            own
            | {"name": dataset.name, "digest": dataset.digest, "source_type": "local", "source": "{}"}
            | {"schema": None, "profile": None, "tags": json.dumps(context)}
        )
    rows.setdefault("model_inputs", []).extend(own | {"model_id": model_id} for model_id in run.input_models)
    rows.setdefault("model_outputs", []).extend(
        own | {"model_id": model_id, "step": step} for model_id, step in run.output_models
    )
    for table in ("params", "tags", "model_inputs", "model_outputs"):
        if not rows[table]:
            del rows[table]


def as_mlflow(run: SampleRun) -> mlflow.entities.Run:
    """Return the run as MLflow's own filter and sort take it; its times are whole ms."""
    info = mlflow.entities.RunInfo(
        run_id=run.run_id,
        experiment_id=run.experiment_id,
        user_id=run.user,
        status=run.status,
        start_time=run.started_us // 1000,
        end_time=None if run.ended_us is None else run.ended_us // 1000,
        lifecycle_stage=mlflow.entities.LifecycleStage.DELETED
        if run.is_deleted
        else mlflow.entities.LifecycleStage.ACTIVE,
        artifact_uri=f"mlflow-artifacts:/{run.experiment_id}/{run.run_id}/artifacts",
        run_name=run.name,
    )
    data = mlflow.entities.RunData(
        metrics=[mlflow.entities.Metric(key, value, 2, 3) for key, value in run.metrics.items()],
        params=[mlflow.entities.Param(key, value) for key, value in run.params.items()],
        tags=[mlflow.entities.RunTag(key, value) for key, value in run.tags.items()],
    )
    inputs = [
        mlflow.entities.DatasetInput(
            mlflow.entities.Dataset(name=dataset.name, digest=dataset.digest, source_type="local", source="{}"),
            [] if dataset.context is None else [mlflow.entities.InputTag("mlflow.data.context", dataset.context)],
        )
        for dataset in run.datasets
    ]
    return mlflow.entities.Run(info, data, mlflow.entities.RunInputs(dataset_inputs=inputs))
