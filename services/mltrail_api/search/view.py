"""Whole runs as the API shows them, loaded in a handful of queries however many there are."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Connection, Select, Table, bindparam, select

from mltrail_api.search.columns import ALL, Columns
from mltrail_api.search.placement import (
    ARTIFACT_URI,
    EXPERIMENT_ID,
    IS_DELETED,
    MLFLOW_STATUS_OF_LOST,
    PLACED_RUNS,
)
from mltrail_core.readmodel.pipelining import Question, answers
from mltrail_core.readmodel.tables import (
    dataset_inputs,
    lost_runs,
    metric_summaries,
    model_inputs,
    model_outputs,
    params,
    runs,
    tags,
)
from mltrail_core.rules import LOST_STATUS

_RUNS_PER_QUERY = 5_000
"""SQLite binds at most 32,766 values."""


class LatestMetric(NamedTuple):
    """The last point of a metric by (step, time, value). A page of runs has tens of thousands: hence a tuple."""

    key: str
    value: float
    time_us: int
    step: int


@dataclass(frozen=True, slots=True)
class DatasetInput:
    """A dataset that a run read; `tags` say as what. `profile` and `schema` are JSON texts, if known."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None
    profile: str | None
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """A logged model that a run produced at `step`."""

    model_id: str
    step: int


@dataclass(frozen=True, slots=True)
class RunView:
    """A run with all that belongs to it; params, tags and metrics are sorted by key.

    `experiment_id` is the experiment's own id, never an alias. `is_deleted` is true also while its experiment is
    deleted. Times are µs UTC. `status` is the recorded one; `last_seen_us` is when a writer was last heard of, given
    while the run counts as lost.
    """

    run_id: str
    experiment_id: str
    name: str
    user: str
    status: str
    started_us: int
    ended_us: int | None
    is_deleted: bool
    artifact_uri: str
    params: tuple[tuple[str, str], ...]
    tags: tuple[tuple[str, str], ...]
    metrics: tuple[LatestMetric, ...]
    dataset_inputs: tuple[DatasetInput, ...]
    model_inputs: tuple[str, ...]
    model_outputs: tuple[ModelOutput, ...]
    last_seen_us: int | None = None

    @property
    def shown_status(self) -> str:
        """The status, or our own word for a run that counts as lost."""
        return self.status if self.last_seen_us is None else LOST_STATUS

    @property
    def mlflow_status(self) -> str:
        """The status as MLflow's clients are told it."""
        return self.status if self.last_seen_us is None else MLFLOW_STATUS_OF_LOST


def load_run(connection: Connection, run_id: str) -> RunView | None:
    """Return one run with all that belongs to it, or None when the read model has none."""
    return next(iter(load_runs(connection, [run_id])), None)


def load_runs(connection: Connection, run_ids: Sequence[str], columns: Columns = ALL) -> list[RunView]:
    """Return the runs of `run_ids` with what `columns` names of them, in that order; unknown ids are left out.

    It takes seven queries for each 5,000 runs, less one for each kind of which nothing is wanted; on PostgreSQL they
    leave together.
    """
    return [
        view
        for first in range(0, len(run_ids), _RUNS_PER_QUERY)
        for view in _load(connection, run_ids[first : first + _RUNS_PER_QUERY], columns)
    ]


# The ids are one parameter: `in_(ids)` would make each statement anew, which costs more than most of them take.
_IDS: BindParameter[str] = bindparam("run_ids", expanding=True)
_KEYS: BindParameter[str] = bindparam("keys", expanding=True)
_INFO = (
    select(
        runs.c.run_id,
        EXPERIMENT_ID,
        runs.c.name,
        runs.c.user,
        runs.c.status,
        runs.c.started_us,
        runs.c.ended_us,
        IS_DELETED,
        ARTIFACT_URI,
        lost_runs.c.last_seen_us,
    )
    .select_from(PLACED_RUNS.outerjoin(lost_runs, lost_runs.c.run_id == runs.c.run_id))
    .where(runs.c.run_id.in_(_IDS))
)
_PARAMS = (
    select(params.c.run_id, params.c.key, params.c.value)
    .where(params.c.run_id.in_(_IDS))
    .order_by(params.c.run_id, params.c.key)
)
_TAGS = (
    select(tags.c.run_id, tags.c.key, tags.c.value).where(tags.c.run_id.in_(_IDS)).order_by(tags.c.run_id, tags.c.key)
)
_METRICS = (
    select(
        metric_summaries.c.run_id,
        metric_summaries.c.key,
        metric_summaries.c.last_value,
        metric_summaries.c.last_time_us,
        metric_summaries.c.last_step,
    )
    .where(metric_summaries.c.run_id.in_(_IDS))
    .order_by(metric_summaries.c.run_id, metric_summaries.c.key)
)
_DATASETS = (
    select(
        dataset_inputs.c.run_id,
        dataset_inputs.c.name,
        dataset_inputs.c.digest,
        dataset_inputs.c.source_type,
        dataset_inputs.c.source,
        dataset_inputs.c.schema,
        dataset_inputs.c.profile,
        dataset_inputs.c.tags,
    )
    .where(dataset_inputs.c.run_id.in_(_IDS))
    .order_by(dataset_inputs.c.run_id, dataset_inputs.c.name, dataset_inputs.c.digest)
)
_MODEL_INPUTS = (
    select(model_inputs.c.run_id, model_inputs.c.model_id)
    .where(model_inputs.c.run_id.in_(_IDS))
    .order_by(model_inputs.c.run_id, model_inputs.c.model_id)
)
_MODEL_OUTPUTS = (
    select(model_outputs.c.run_id, model_outputs.c.model_id, model_outputs.c.step)
    .where(model_outputs.c.run_id.in_(_IDS))
    .order_by(model_outputs.c.run_id, model_outputs.c.step, model_outputs.c.model_id)
)
_SOME: dict[Table, Select[Any]] = {  # of rows of several shapes
    table: query.where(table.c.key.in_(_KEYS))
    for table, query in ((params, _PARAMS), (tags, _TAGS), (metric_summaries, _METRICS))
}


def _questions(run_ids: Sequence[str], columns: Columns) -> dict[Select[Any], Question]:
    """Return the statements that have to be asked, by the one that asks for all there is of a kind."""
    given: dict[str, Sequence[str]] = {"run_ids": run_ids}
    wanted: dict[Select[Any], Question] = {_INFO: (_INFO, given)}
    for every, table, keys in (
        (_PARAMS, params, columns.params),
        (_TAGS, tags, columns.tags),
        (_METRICS, metric_summaries, columns.metrics),
    ):
        if keys is None:
            wanted[every] = (every, given)
        elif keys:
            wanted[every] = (_SOME[table], {**given, "keys": list(keys)})
    if columns.inputs:
        wanted |= {every: (every, given) for every in (_DATASETS, _MODEL_INPUTS, _MODEL_OUTPUTS)}
    return wanted


def _load(connection: Connection, run_ids: Sequence[str], columns: Columns) -> Iterator[RunView]:
    questions = _questions(run_ids, columns)
    rows_of = defaultdict[Select[Any], Sequence[Sequence[Any]]](tuple)
    rows_of.update(zip(questions, answers(connection, list(questions.values())), strict=True))
    found = {row[0]: row for row in rows_of[_INFO]}
    params_of = defaultdict[str, list[tuple[str, str]]](list)
    for run_id, key, value in rows_of[_PARAMS]:
        params_of[run_id].append((key, value))
    tags_of = defaultdict[str, list[tuple[str, str]]](list)
    for run_id, key, value in rows_of[_TAGS]:
        tags_of[run_id].append((key, value))
    metrics_of = defaultdict[str, list[LatestMetric]](list)
    for run_id, key, number, time_us, step in rows_of[_METRICS]:
        metrics_of[run_id].append(LatestMetric(key, math.nan if number is None else number, time_us, step))
    datasets_of = defaultdict[str, list[DatasetInput]](list)
    for run_id, name, digest, source_type, source, schema, profile, dataset_tags in rows_of[_DATASETS]:
        datasets_of[run_id].append(
            DatasetInput(name, digest, source_type, source, schema, profile, json.loads(dataset_tags))
        )
    inputs_of = defaultdict[str, list[str]](list)
    for run_id, model_id in rows_of[_MODEL_INPUTS]:
        inputs_of[run_id].append(model_id)
    outputs_of = defaultdict[str, list[ModelOutput]](list)
    for run_id, model_id, step in rows_of[_MODEL_OUTPUTS]:
        outputs_of[run_id].append(ModelOutput(model_id, step))
    for run_id in run_ids:
        if (info := found.get(run_id)) is None:
            continue
        yield RunView(
            run_id=run_id,
            experiment_id=info[1],
            name=info[2],
            user=info[3],
            status=info[4],
            started_us=info[5],
            ended_us=info[6],
            is_deleted=bool(info[7]),
            artifact_uri=info[8],
            params=tuple(params_of[run_id]),
            tags=tuple(tags_of[run_id]),
            metrics=tuple(metrics_of[run_id]),
            dataset_inputs=tuple(datasets_of[run_id]),
            model_inputs=tuple(inputs_of[run_id]),
            model_outputs=tuple(outputs_of[run_id]),
            last_seen_us=info[9],
        )
