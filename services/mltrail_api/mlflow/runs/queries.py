"""Runs in the read model, and how MLflow's client is told about them.

A run stands under the experiment id that its producer said; shown is the experiment that this id is, or is an alias of.
Its lifecycle is derived here: deleted itself, or of a deleted experiment. A run of no known experiment is unplaced.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection, Row, Table, func, select

from mltrail_api.mlflow.experiments.queries import CHUNK, artifact_location
from mltrail_core.readmodel.tables import (
    dataset_inputs,
    experiment_aliases,
    experiments,
    metric_summaries,
    model_inputs,
    model_outputs,
    params,
    runs,
    tags,
)

T = TypeVar("T")
Json = dict[str, object]
AnyRow = Row[tuple[object, ...]]

SHOWN_EXPERIMENT_ID = func.coalesce(experiment_aliases.c.experiment_id, runs.c.experiment_id)
PLACED_RUNS = runs.outerjoin(experiment_aliases, experiment_aliases.c.proposed_id == runs.c.experiment_id).outerjoin(
    experiments, experiments.c.experiment_id == SHOWN_EXPERIMENT_ID
)
"""Runs beside their experiment, through its alias where there is one; what searches select from, too."""
_RUNS = select(
    runs,
    SHOWN_EXPERIMENT_ID.label("shown_experiment_id"),
    experiments.c.is_deleted.label("experiment_is_deleted"),
    experiments.c.artifact_location,
).select_from(PLACED_RUNS)


@dataclass(frozen=True, slots=True)
class RunState:
    """What a write has to know of a run. `experiment_id` is the shown one."""

    run_id: str
    experiment_id: str
    user: str
    status: str
    is_deleted: bool
    experiment_is_deleted: bool

    @property
    def is_active(self) -> bool:
        """Whether the run may be written to."""
        return not (self.is_deleted or self.experiment_is_deleted)


def run_state(connection: Connection, run_id: str) -> RunState | None:
    """Return what a write has to know of a run, or None when there is no such run."""
    row = connection.execute(_RUNS.where(runs.c.run_id == run_id)).first()
    if row is None:
        return None
    return RunState(
        run_id, row.shown_experiment_id, row.user, row.status, row.is_deleted, bool(row.experiment_is_deleted)
    )


def params_of(connection: Connection, run_id: str, keys: Sequence[str]) -> dict[str, str]:
    """Return the values that these params of a run have already."""
    query = select(params.c.key, params.c.value).where(params.c.run_id == run_id, params.c.key.in_(keys))
    return {row.key: row.value for row in connection.execute(query)}


def run_info(connection: Connection, run_id: str) -> Json | None:
    """Return a run's info as MLflow's JSON has it, or None when there is no such run."""
    row = connection.execute(_RUNS.where(runs.c.run_id == run_id)).first()
    return None if row is None else _info(row)


def run_as_json(connection: Connection, run_id: str) -> Json | None:
    """Return a run with all that belongs to it, or None when there is no such run."""
    found = runs_as_json(connection, [run_id])
    return found[0] if found else None


def runs_as_json(connection: Connection, run_ids: Sequence[str]) -> list[Json]:
    """Return the runs with these ids with all that belongs to them, in that order; unknown ids are left out."""
    found: dict[str, Json] = {}
    for start in range(0, len(run_ids), CHUNK):
        found.update(_some_runs(connection, run_ids[start : start + CHUNK]))
    return [found[run_id] for run_id in run_ids if run_id in found]


def artifact_uri(location: str, run_id: str) -> str:
    """Return where a run's artifacts go: below its experiment's location, before a query if that has one."""
    path, mark, rest = location.partition("?")
    return f"{path.rstrip('/')}/{run_id}/artifacts{mark}{rest}"


def _some_runs(connection: Connection, run_ids: Sequence[str]) -> dict[str, Json]:
    infos = {row.run_id: _info(row) for row in connection.execute(_RUNS.where(runs.c.run_id.in_(run_ids)))}
    metrics_of = _grouped(_rows(connection, metric_summaries, run_ids), _metric)
    params_by_run = _grouped(_rows(connection, params, run_ids), _key_value)
    tags_of = _grouped(_rows(connection, tags, run_ids), _key_value)
    datasets_of = _grouped(_rows(connection, dataset_inputs, run_ids), _dataset)
    inputs_of = _grouped(_rows(connection, model_inputs, run_ids), lambda row: {"model_id": row.model_id})
    outputs_of = _grouped(
        _rows(connection, model_outputs, run_ids), lambda row: {"model_id": row.model_id, "step": row.step}
    )
    return {
        run_id: {
            "info": info,
            "data": _filled(metrics=metrics_of.get(run_id), params=params_by_run.get(run_id), tags=tags_of.get(run_id)),
            "inputs": _filled(dataset_inputs=datasets_of.get(run_id), model_inputs=inputs_of.get(run_id)),
            "outputs": _filled(model_outputs=outputs_of.get(run_id)),
        }
        for run_id, info in infos.items()
    }


def _rows(connection: Connection, table: Table, run_ids: Sequence[str]) -> Iterable[AnyRow]:
    return connection.execute(select(table).where(table.c.run_id.in_(run_ids)).order_by(*table.primary_key.columns))


def _info(row: AnyRow) -> Json:
    info: Json = {
        "run_uuid": row.run_id,
        "experiment_id": row.shown_experiment_id,
        "run_name": row.name,
        "user_id": row.user,
        "status": row.status,
        "start_time": row.started_us // 1000,
        "artifact_uri": artifact_uri(artifact_location(row.shown_experiment_id, row.artifact_location), row.run_id),
        "lifecycle_stage": "deleted" if row.is_deleted or row.experiment_is_deleted else "active",
        "run_id": row.run_id,
    }
    if row.ended_us is not None:
        info["end_time"] = row.ended_us // 1000
    return info


def _metric(row: AnyRow) -> Json:
    value = math.nan if row.last_value is None else row.last_value
    return {"key": row.key, "value": value, "timestamp": row.last_time_us // 1000, "step": row.last_step}


def _key_value(row: AnyRow) -> Json:
    return {"key": row.key, "value": row.value}


def _dataset(row: AnyRow) -> Json:
    its_tags = [{"key": key, "value": value} for key, value in json.loads(row.tags).items()]
    dataset = {"name": row.name, "digest": row.digest, "source_type": row.source_type, "source": row.source}
    dataset.update(_filled(schema=row.schema, profile=row.profile))
    return _filled(tags=its_tags) | {"dataset": dataset}


def _grouped(rows: Iterable[AnyRow], shape: Callable[[AnyRow], Json]) -> dict[str, list[Json]]:
    grouped: dict[str, list[Json]] = {}
    for row in rows:
        grouped.setdefault(row.run_id, []).append(shape(row))
    return grouped


def _filled(**fields: object) -> Json:
    # Protobuf-JSON leaves out what is empty, and the client reads what is absent as empty.
    return {name: value for name, value in fields.items() if value}
