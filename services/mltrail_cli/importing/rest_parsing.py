"""From MLflow's JSON to what an import compares. Numbers may come as texts, and what is empty is left out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from mltrail_cli.importing.source import (
    SourceDataset,
    SourceExperiment,
    SourceModel,
    SourceRegistered,
    SourceRun,
    SourceVersion,
    logged_model_in,
)

Json = dict[str, object]
_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def experiment_of(found: Json) -> SourceExperiment:
    """Return an experiment."""
    return SourceExperiment(
        str(found["experiment_id"]),
        str(found["name"]),
        _text(found, "artifact_location"),
        found.get("lifecycle_stage") == "deleted",
        _us(found, "creation_time"),
        _pairs(found, "tags"),
    )


def run_of(found: Json) -> SourceRun:
    """Return a run."""
    info, data = _object(found, "info"), _object(found, "data")
    inputs, outputs = _object(found, "inputs"), _object(found, "outputs")
    tags = _pairs(data, "tags")
    return SourceRun(
        run_id=str(info.get("run_id") or info["run_uuid"]),
        experiment_id=str(info["experiment_id"]),
        name=str(info.get("run_name") or tags.get("mlflow.runName", "")),
        user=str(info.get("user_id") or tags.get("mlflow.user", "")),
        status=str(info.get("status", "RUNNING")),
        started_us=_us(info, "start_time") or 0,
        ended_us=_us(info, "end_time") or None,
        is_deleted=info.get("lifecycle_stage") == "deleted",
        artifact_uri=str(info.get("artifact_uri", "")),
        params=_pairs(data, "params"),
        tags=tags,
        metric_keys=sorted({str(metric["key"]) for metric in _objects(data, "metrics")}),
        datasets=[_dataset(one) for one in _objects(inputs, "dataset_inputs")],
        model_inputs=[str(one["model_id"]) for one in _objects(inputs, "model_inputs")],
        model_outputs=[
            (str(one["model_id"]), int(str(one.get("step", 0)))) for one in _objects(outputs, "model_outputs")
        ],
    )


def model_of(found: Json) -> SourceModel:
    """Return a logged model."""
    info, data = _object(found, "info"), _object(found, "data")
    return SourceModel(
        str(info["model_id"]),
        str(info["experiment_id"]),
        str(info.get("name", "")),
        _text(info, "model_type"),
        _text(info, "source_run_id"),
        _status(info.get("status")),
        _us(info, "creation_timestamp_ms") or 0,
        str(info.get("artifact_uri", "")),
        _pairs(data, "params"),
        _pairs(info, "tags"),
    )


def registered_of(found: Json, versions: Sequence[SourceVersion]) -> SourceRegistered:
    """Return a registered model with these versions."""
    return SourceRegistered(
        str(found["name"]),
        _us(found, "creation_timestamp") or 0,
        _text(found, "description"),
        _pairs(found, "tags"),
        {str(one["alias"]): int(str(one["version"])) for one in _objects(found, "aliases")},
        sorted(versions, key=lambda version: version.number),
    )


def version_of(found: Json, storage_location: str | None) -> SourceVersion:
    """Return a version whose files lie at `storage_location`."""
    source = str(found.get("source", ""))
    return SourceVersion(
        str(found["name"]),
        int(str(found["version"])),
        _us(found, "creation_timestamp") or 0,
        _text(found, "description"),
        _text(found, "user_id"),
        str(found.get("current_stage") or "None"),
        source,
        storage_location,
        _text(found, "run_id"),
        _text(found, "run_link"),
        _text(found, "model_id") or logged_model_in(source),
        _pairs(found, "tags"),
    )


def as_float(value: object) -> float:
    """Return a metric's value; NaN and the infinities come as words."""
    return _WORDS[value] if isinstance(value, str) and value in _WORDS else float(str(value))


def _dataset(found: Json) -> SourceDataset:
    dataset = _object(found, "dataset")
    return SourceDataset(
        str(dataset["name"]),
        str(dataset["digest"]),
        str(dataset.get("source_type", "")),
        str(dataset.get("source", "")),
        _text(dataset, "schema"),
        _text(dataset, "profile"),
        tuple(_pairs(found, "tags").items()),
    )


def _status(status: object) -> str:
    return str(status) if str(status).startswith("LOGGED_MODEL_") else "LOGGED_MODEL_PENDING"


def _text(found: Json, name: str) -> str | None:
    return str(found[name]) if found.get(name) else None


def _us(found: Json, name: str) -> int | None:
    return None if found.get(name) is None else int(str(found[name])) * 1000


def _object(found: Json, name: str) -> Json:
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def _objects(found: Json, name: str) -> Iterable[Json]:
    value = found.get(name)
    return value if isinstance(value, list) else []


def _pairs(found: Json, name: str) -> dict[str, str]:
    return {str(one["key"]): str(one.get("value", "")) for one in _objects(found, name)}
