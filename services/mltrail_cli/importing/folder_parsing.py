"""From the files of MLflow's file store to what an import compares."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mltrail_cli.importing.source import (
    SourceDataset,
    SourceModel,
    SourceRegistered,
    SourceRun,
    SourceVersion,
    logged_model_in,
)
from mltrail_core.errors import Invalid
from mltrail_core.rules import LOGGED_MODEL_PENDING, LOGGED_MODEL_READY, LOGGED_MODEL_UPLOAD_FAILED, RUN_STATUSES

Meta = dict[str, object]
_RUN_STATUS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_MODEL_STATUS = {1: LOGGED_MODEL_PENDING, 2: LOGGED_MODEL_READY, 3: LOGGED_MODEL_UPLOAD_FAILED}


def read_meta(path: Path) -> Meta:
    """Return what a `meta.yaml` says.

    Raises:
        Invalid: it is not YAML or no mapping, or PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise Invalid("a folder of MLflow's is written in YAML: pip install pyyaml, and import again") from error
    try:
        meta = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, OSError) as error:
        raise Invalid(f"{path} can't be read: {error}") from error
    if not isinstance(meta, dict):
        raise Invalid(f"{path} should hold a mapping, found {type(meta).__name__}")
    return meta


def texts_in(folder: Path) -> dict[str, str]:
    """Return the text of every file below a folder, by its path: params and tags."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in (sorted(folder.rglob("*")) if folder.is_dir() else ())
        if path.is_file()
    }


def run_of(
    meta: Meta,
    experiment_id: str,
    folder: Path,
    datasets: Sequence[SourceDataset],
    models: Sequence[str],
    outputs: Sequence[tuple[str, int]],
) -> SourceRun:
    """Return the run that a folder holds."""
    tags = texts_in(folder / "tags")
    metrics = folder / "metrics"
    status = meta.get("status")
    return SourceRun(
        run_id=str(meta.get("run_id") or meta["run_uuid"]),
        experiment_id=experiment_id,
        name=str(meta.get("run_name") or tags.get("mlflow.runName", "")),
        user=str(meta.get("user_id") or ""),
        status=str(status) if status in RUN_STATUSES else _RUN_STATUS.get(int(str(status)), "RUNNING"),
        started_us=_us(meta, "start_time"),
        ended_us=_us(meta, "end_time") or None,
        is_deleted=meta.get("lifecycle_stage") == "deleted",
        artifact_uri=str(meta.get("artifact_uri") or ""),
        params=texts_in(folder / "params"),
        tags=tags,
        metric_keys=sorted(path.relative_to(metrics).as_posix() for path in metrics.rglob("*") if path.is_file()),
        datasets=datasets,
        model_inputs=models,
        model_outputs=outputs,
    )


def dataset_of(dataset: Meta, given: Meta) -> SourceDataset:
    """Return a dataset as a run was given it."""
    tags = given.get("tags")
    return SourceDataset(
        str(dataset["name"]),
        str(dataset["digest"]),
        str(dataset.get("source_type") or ""),
        str(dataset.get("source") or ""),
        _text(dataset, "schema"),
        _text(dataset, "profile"),
        tuple((str(key), str(value)) for key, value in tags.items()) if isinstance(tags, dict) else (),
    )


def model_of(meta: Meta, experiment_id: str, folder: Path) -> SourceModel:
    """Return the logged model that a folder holds."""
    status = str(meta.get("status"))
    return SourceModel(
        str(meta["model_id"]),
        experiment_id,
        str(meta["name"]),
        _text(meta, "model_type"),
        _text(meta, "source_run_id"),
        _MODEL_STATUS.get(int(status), LOGGED_MODEL_PENDING) if status.isdigit() else f"LOGGED_MODEL_{status}",
        _us(meta, "creation_timestamp"),
        str(meta.get("artifact_location") or ""),
        texts_in(folder / "params"),
        texts_in(folder / "tags"),
    )


def registered_of(meta: Meta, folder: Path, versions: Sequence[SourceVersion]) -> SourceRegistered:
    """Return the registered model that a folder holds."""
    return SourceRegistered(
        str(meta["name"]),
        _us(meta, "creation_timestamp"),
        _text(meta, "description"),
        texts_in(folder / "tags"),
        {alias: int(version) for alias, version in texts_in(folder / "aliases").items()},
        sorted(versions, key=lambda version: version.number),
    )


def version_of(meta: Meta, folder: Path) -> SourceVersion:
    """Return the version that a folder holds."""
    source = str(meta.get("source") or "")
    return SourceVersion(
        str(meta["name"]),
        int(str(meta["version"])),
        _us(meta, "creation_timestamp"),
        _text(meta, "description"),
        _text(meta, "user_id"),
        str(meta.get("current_stage") or "None"),
        source,
        _text(meta, "storage_location"),
        _text(meta, "run_id"),
        _text(meta, "run_link"),
        _text(meta, "model_id") or logged_model_in(source),
        texts_in(folder / "tags"),
    )


def _text(meta: Meta, name: str) -> str | None:
    return str(meta[name]) if meta.get(name) else None


def _us(meta: Meta, name: str) -> int:
    return int(str(meta.get(name) or 0)) * 1000
