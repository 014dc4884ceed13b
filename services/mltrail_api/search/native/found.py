"""Found runs as the native API answers them: what was asked for and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection, RowMapping, select

from mltrail_api.search.columns import Columns
from mltrail_api.search.expression import Summary
from mltrail_api.search.native.selection import Selection
from mltrail_api.search.placement import PLACED_RUNS
from mltrail_api.search.view import RunView, load_runs
from mltrail_core.readmodel.tables import experiments, metric_summaries, runs

Json = dict[str, object]
_RUNS_PER_QUERY = 5_000
"""SQLite binds at most 32,766 values."""


class _Extra:
    """What `RunView` does not hold: the actor, the experiment's name, and numbers of whole series."""

    __slots__ = ("actor", "experiment", "metrics")

    def __init__(self) -> None:
        self.actor: str | None = None
        self.experiment: str | None = None
        self.metrics: dict[str, Json] = {}


_ATTRIBUTES: Mapping[str, tuple[str, Callable[[RunView, _Extra], object]]] = {
    "experiment_id": ("experiment_id", lambda run, _: run.experiment_id),
    "experiment": ("experiment", lambda _, extra: extra.experiment),
    "run_name": ("run_name", lambda run, _: run.name),
    "user_id": ("user", lambda run, _: run.user),
    "actor": ("actor", lambda _, extra: extra.actor),
    "status": ("status", lambda run, _: run.shown_status),
    "start_time": ("started_us", lambda run, _: run.started_us),
    "end_time": ("ended_us", lambda run, _: run.ended_us),
    "duration": ("duration_us", lambda run, _: None if run.ended_us is None else run.ended_us - run.started_us),
    "artifact_uri": ("artifact_uri", lambda run, _: run.artifact_uri),
}
"""By what filters call them: the name in the answer, and the value."""


def load_found(connection: Connection, run_ids: Sequence[str], selection: Selection) -> list[Json]:
    """Return the runs of `run_ids`, in that order, with what is selected of them."""
    if not run_ids:
        return []
    columns = selection.columns
    if selection.metrics is not None:  # which come with the numbers asked for, below
        columns = Columns(columns.params, columns.tags, frozenset(), columns.inputs)
    extras = _extras(connection, run_ids, selection)
    return [_json(run, extras[run.run_id], selection) for run in load_runs(connection, run_ids, columns)]


def _extras(connection: Connection, run_ids: Sequence[str], selection: Selection) -> dict[str, _Extra]:
    extras = {run_id: _Extra() for run_id in run_ids}
    for first in range(0, len(run_ids), _RUNS_PER_QUERY):
        some = run_ids[first : first + _RUNS_PER_QUERY]
        if selection.attributes & {"actor", "experiment"}:
            query = select(runs.c.run_id, runs.c.actor, experiments.c.name).select_from(PLACED_RUNS)
            for run_id, actor, name in connection.execute(query.where(runs.c.run_id.in_(some))):
                extras[run_id].actor, extras[run_id].experiment = actor, name
        if selection.metrics:
            table = metric_summaries
            is_wanted = table.c.run_id.in_(some) & table.c.key.in_(selection.metrics)
            order = (table.c.run_id, table.c.key)
            for row in connection.execute(select(table).where(is_wanted).order_by(*order)).mappings():
                asked = {str(summary): _number(row, summary) for summary in selection.metrics[row["key"]]}
                extras[row["run_id"]].metrics[row["key"]] = asked
    return extras


def _json(run: RunView, extra: _Extra, selection: Selection) -> Json:
    found: Json = {"run_id": run.run_id}
    found |= {
        name: value(run, extra) for attribute, (name, value) in _ATTRIBUTES.items() if attribute in selection.attributes
    }
    if selection.attributes:
        found["is_deleted"] = run.is_deleted
    if selection.params != frozenset():
        found["params"] = dict(run.params)
    if selection.tags != frozenset():
        found["tags"] = dict(run.tags)
    if selection.metrics is None:
        found["metrics"] = {
            metric.key: {"last": _shown(metric.value), "last_step": metric.step} for metric in run.metrics
        }
    elif selection.metrics:
        found["metrics"] = extra.metrics
    if selection.datasets:
        found["datasets"] = [
            {"name": one.name, "digest": one.digest, "context": one.tags.get("mlflow.data.context")}
            for one in run.dataset_inputs
        ]
    if selection.models:
        outputs = [{"model_id": output.model_id, "step": output.step} for output in run.model_outputs]
        found["models"] = {"inputs": list(run.model_inputs), "outputs": outputs}
    return found


def _number(row: RowMapping, summary: Summary) -> object:
    """Return a number of a series; a NaN is NULL in the read model, and where all are, the least is at no step."""
    number: float | int | None = row[summary.column_name]
    return number if summary.is_whole else _shown(math.nan if number is None else number)


def _shown(number: float) -> object:
    """Return a number as JSON has it: NaN and infinities by name, as in protobuf's JSON."""
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
