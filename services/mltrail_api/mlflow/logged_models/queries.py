"""Logged models in the read model, with all that belongs to them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Table, func, select

from mltrail_api.search.placement import MODEL_EXPERIMENT_ID, PLACED_MODELS
from mltrail_core.readmodel.tables import (
    deleted_logged_models,
    experiments,
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
    model_versions,
)

_MODELS_PER_QUERY = 5_000
"""SQLite binds at most 32,766 values."""


@dataclass(frozen=True, slots=True)
class ModelMetric:
    """A point that a run logged for the model; `dataset_name` and `dataset_digest` are "" where none was named."""

    run_id: str
    key: str
    dataset_name: str
    dataset_digest: str
    step: int
    time_us: int
    value: float


@dataclass(frozen=True, slots=True)
class ModelView:
    """A logged model; `experiment_id` is the experiment's own, never an alias. Times are µs UTC.

    `versions` are the (name, version) that the registry has of it.
    """

    model_id: str
    experiment_id: str
    name: str
    model_type: str | None
    source_run_id: str | None
    status: str
    created_us: int
    updated_us: int
    artifact_uri: str
    params: tuple[tuple[str, str], ...]
    tags: tuple[tuple[str, str], ...]
    metrics: tuple[ModelMetric, ...]
    versions: tuple[tuple[str, int], ...]
    is_deleted: bool = False


_MODELS = select(
    logged_models,
    MODEL_EXPERIMENT_ID.label("own_experiment_id"),
    func.coalesce(experiments.c.artifact_location, "mlflow-artifacts:/" + MODEL_EXPERIMENT_ID).label("location"),
    deleted_logged_models.c.deleted_us,
).select_from(
    PLACED_MODELS.outerjoin(deleted_logged_models, deleted_logged_models.c.model_id == logged_models.c.model_id)
)


def load_model(connection: Connection, model_id: str) -> ModelView | None:
    """Return a logged model, deleted or not, or None when there is none of this id."""
    return next(iter(load_models(connection, [model_id])), None)


def load_models(connection: Connection, model_ids: Sequence[str]) -> list[ModelView]:
    """Return the logged models of `model_ids`, in that order; unknown ids are left out."""
    return [
        view
        for first in range(0, len(model_ids), _MODELS_PER_QUERY)
        for view in _load(connection, model_ids[first : first + _MODELS_PER_QUERY])
    ]


def artifact_uri(location: str, model_id: str) -> str:
    """Return where a logged model's artifacts go: below its experiment's location, before a query if that has one."""
    path, mark, rest = location.partition("?")
    return f"{path.rstrip('/')}/models/{model_id}/artifacts{mark}{rest}"


def _load(connection: Connection, model_ids: Sequence[str]) -> Iterator[ModelView]:
    models = {row.model_id: row for row in connection.execute(_MODELS.where(logged_models.c.model_id.in_(model_ids)))}
    params = _by_model(connection, logged_model_params, models)
    tags = _by_model(connection, logged_model_tags, models)
    metrics = _by_model(connection, logged_model_metrics, models)
    versions = _by_model(connection, model_versions, models)
    for model_id in model_ids:
        if (row := models.get(model_id)) is None:
            continue
        yield ModelView(
            model_id=model_id,
            experiment_id=row.own_experiment_id,
            name=row.name,
            model_type=row.model_type,
            source_run_id=row.source_run_id,
            status=row.status,
            created_us=row.created_us,
            updated_us=row.updated_us,
            artifact_uri=artifact_uri(row.location, model_id),
            params=tuple((one.key, one.value) for one in params[model_id]),
            tags=tuple((one.key, one.value) for one in tags[model_id]),
            metrics=tuple(_metric(one) for one in metrics[model_id]),
            versions=tuple((one.name, one.version) for one in versions[model_id]),
            is_deleted=row.deleted_us is not None,
        )


def _by_model(connection: Connection, table: Table, model_ids: Mapping[str, object]) -> dict[str, list[Row[Any]]]:
    rows_of = defaultdict[str, list[Row[Any]]](list)
    query = select(table).where(table.c.model_id.in_(model_ids)).order_by(*table.primary_key.columns)
    for row in connection.execute(query):
        rows_of[row.model_id].append(row)
    return rows_of


def _metric(row: Row[Any]) -> ModelMetric:
    value = math.nan if row.value is None else row.value
    return ModelMetric(row.run_id, row.key, row.dataset_name, row.dataset_digest, row.step, row.time_us, value)
