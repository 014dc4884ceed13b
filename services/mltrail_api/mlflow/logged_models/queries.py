"""Logged models in the read model, with all that belongs to them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, func, select

from mltrail_api.search.placement import own_experiment_ids
from mltrail_core.readmodel.tables import (
    experiment_aliases,
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


_EXPERIMENT_ID: ColumnElement[str] = func.coalesce(experiment_aliases.c.experiment_id, logged_models.c.experiment_id)
_PLACED_MODELS = logged_models.outerjoin(
    experiment_aliases, experiment_aliases.c.proposed_id == logged_models.c.experiment_id
).outerjoin(experiments, experiments.c.experiment_id == _EXPERIMENT_ID)
_MODELS = select(
    logged_models,
    _EXPERIMENT_ID.label("own_experiment_id"),
    func.coalesce(experiments.c.artifact_location, "mlflow-artifacts:/" + _EXPERIMENT_ID).label("location"),
).select_from(_PLACED_MODELS)

_ORDER: Mapping[str, ColumnElement[Any]] = {
    "model_id": logged_models.c.model_id,
    "name": logged_models.c.name,
    "model_type": logged_models.c.model_type,
    "status": logged_models.c.status,
    "source_run_id": logged_models.c.source_run_id,
    "experiment_id": _EXPERIMENT_ID,
    **dict.fromkeys(("creation_time", "creation_timestamp", "creation_timestamp_ms"), logged_models.c.created_us),
    **dict.fromkeys(("last_updated_timestamp", "last_updated_timestamp_ms"), logged_models.c.updated_us),
}
ORDER_FIELDS = tuple(_ORDER)
"""What a search can be sorted by."""


def load_model(connection: Connection, model_id: str) -> ModelView | None:
    """Return a logged model, or None when there is none of this id."""
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


def search_model_ids(
    connection: Connection,
    experiment_ids: Sequence[str],
    equalities: Mapping[str, str],
    order_by: Sequence[tuple[str, bool]],
    offset: int,
    limit: int,
) -> list[str]:
    """Return the ids of the logged models of some experiments, newest first unless told otherwise.

    Args:
        connection: to the read model.
        experiment_ids: of the experiments, or aliases of them.
        equalities: columns of `logged_models` and the text that each has to be.
        order_by: `ORDER_FIELDS` and whether they ascend; models that lack one come last.
        offset: how many come before the first.
        limit: how many at most.

    Raises:
        Invalid: an experiment id is not a decimal number.
    """
    ordering: list[ColumnElement[Any]] = []
    for name, is_ascending in order_by:
        column = _ORDER[name]
        ordering += [column.is_(None), column.asc() if is_ascending else column.desc()]
    query = (
        select(logged_models.c.model_id)
        .select_from(_PLACED_MODELS)
        .where(_EXPERIMENT_ID.in_(own_experiment_ids(connection, experiment_ids)))
        .where(*(logged_models.c[column] == text for column, text in equalities.items()))
        .order_by(*ordering, logged_models.c.created_us.desc(), logged_models.c.model_id)
        .offset(offset)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


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
