"""Comparisons about runs as SQL, and through which index the runs that they may hold for are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from sqlalchemy import (
    JSON,
    ColumnElement,
    Integer,
    Select,
    Table,
    Text,
    cast,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    union,
)

from mltrail_api.search.conditions import number_condition, text_condition, time_condition
from mltrail_api.search.expression import (
    Column,
    Comparator,
    Comparison,
    Entity,
    Membership,
    NumberComparison,
    Presence,
    Summary,
    TextComparison,
)
from mltrail_api.search.placement import (
    ARTIFACT_URI,
    EXPERIMENT_ID,
    MLFLOW_STATUS,
    MLFLOW_STATUS_OF_LOST,
    SHOWN_STATUS,
)
from mltrail_core.readmodel.tables import (
    HEAD_CHARACTERS,
    RUN_DURATION_US,
    dataset_inputs,
    experiments,
    indexed_value,
    lost_runs,
    metric_summaries,
    params,
    runs,
    tags,
)
from mltrail_core.rules import LOST_STATUS

TEXT_ATTRIBUTES: dict[str, ColumnElement[str]] = {
    "run_id": runs.c.run_id,
    "run_name": runs.c.name,
    "user_id": runs.c.user,
    "status": MLFLOW_STATUS,
    "artifact_uri": ARTIFACT_URI,
    # These the native grammar knows only.
    "actor": runs.c.actor,
    "experiment_id": EXPERIMENT_ID,
    "experiment": experiments.c.name,
}
TIME_ATTRIBUTES: dict[str, ColumnElement[int]] = {"start_time": runs.c.started_us, "end_time": runs.c.ended_us}
NUMBER_ATTRIBUTES: dict[str, ColumnElement[int]] = TIME_ATTRIBUTES | {"duration": RUN_DURATION_US}
MAY_BE_NULL = ("end_time", "duration", "experiment")
"""Attributes that a run may lack."""
KEYED: dict[Entity, Table] = {Entity.PARAM: params, Entity.TAG: tags, Entity.METRIC: metric_summaries}
INDEXED_SUMMARIES = (Summary.LAST, Summary.MIN, Summary.MAX)
_CONTEXT_TAG = "mlflow.data.context"


@dataclass(frozen=True, slots=True)
class RunCondition:
    """What a run has to fulfil.

    Attributes:
        holds: over `runs`; true or false, never NULL.
        candidates: the ids of runs, each once, among which all are that it holds for, found by an index alone; None
            where no index helps.
        is_exact: whether it holds for all candidates.
        any_of: the conditions of which one has to hold, if it is that.
    """

    holds: ColumnElement[bool]
    candidates: Select[str] | None = None
    is_exact: bool = False
    any_of: tuple[RunCondition, ...] = ()

    def holds_for(self, run_id: ColumnElement[str]) -> ColumnElement[bool] | None:
        """Return whether it holds for the run of an id, told without a row of `runs`; None where it takes one."""
        if self.candidates is None or not self.is_exact:
            return None
        if self.any_of:
            told = [part.holds_for(run_id) for part in self.any_of]
            known = [part for part in told if part is not None]
            return or_(*known) if len(known) == len(told) else None
        (candidate,) = self.candidates.selected_columns
        row = self.candidates.where(candidate == run_id).with_only_columns(literal_column("1", Integer)).limit(1)
        return row.correlate(run_id.table).scalar_subquery().is_not(None)


def run_condition(comparison: Comparison, dialect: str) -> RunCondition:
    """Return a comparison as SQL; what a run lacks makes it false."""
    match comparison:
        case Presence(column, is_present):
            table = KEYED[column.entity]
            has_key = has(table, table.c.key == column.key)
            return RunCondition(has_key, runs_with(column), True) if is_present else RunCondition(not_(has_key))
        case NumberComparison(Column(Entity.METRIC) as column):
            return _metric_condition(column, comparison)
        case NumberComparison(column):
            compared = time_condition(TIME_ATTRIBUTES[column.key], comparison)
            # Bare where it is never NULL, so that an index on it serves.
            return RunCondition(compared if column.key == "start_time" else func.coalesce(compared, false()))
        case TextComparison(Column(Entity.ATTRIBUTE, "status"), value=value) if value.upper() == LOST_STATUS:
            return RunCondition(text_condition(SHOWN_STATUS, comparison, dialect))
        case TextComparison(Column(Entity.ATTRIBUTE, "status"), Comparator.EQUAL, value):
            return has_status(value)
        case TextComparison(Column(Entity.ATTRIBUTE, key)):
            holds = text_condition(TEXT_ATTRIBUTES[key], comparison, dialect)
            is_one = key == "run_id" and comparison.comparator is Comparator.EQUAL
            return RunCondition(holds, select(runs.c.run_id).where(holds) if is_one else None)
        case TextComparison(Column(Entity.DATASET, key)):
            return RunCondition(has(dataset_inputs, text_condition(dataset_text(key, dialect), comparison, dialect)))
        case TextComparison(column, comparator, value):
            table = KEYED[column.entity]
            compared = text_condition(table.c.value, comparison, dialect)
            holds = has(table, table.c.key == column.key, compared)
            is_equal = comparator is Comparator.EQUAL
            if is_equal:
                is_exact = indexed_part(value, dialect) == value and len(value) != HEAD_CHARACTERS
                return RunCondition(holds, runs_with_text(column, [value], dialect), is_exact)
            # SQLite's index has the whole value; PostgreSQL reads all rows of the key, which is a tenth of what looking
            # each run up would take.
            return RunCondition(holds, runs_with(column).where(compared), True)
        case Membership(Column(Entity.DATASET, key), values, is_negated):
            return RunCondition(has(dataset_inputs, _is_among(dataset_text(key, dialect), values, is_negated)))
        case Membership(Column(Entity.ATTRIBUTE, key), values, is_negated):
            holds = _is_among(TEXT_ATTRIBUTES[key], values, is_negated)
            is_listed = key == "run_id" and not is_negated
            return RunCondition(holds, select(runs.c.run_id).where(holds) if is_listed else None)
        case Membership(column, values, is_negated):
            table = KEYED[column.entity]
            holds = has(table, table.c.key == column.key, _is_among(table.c.value, values, is_negated))
            return RunCondition(holds, runs_with(column) if is_negated else runs_with_text(column, values, dialect))
        case _ as unreachable:
            assert_never(unreachable)


def any_of(conditions: Sequence[RunCondition]) -> RunCondition:
    """Return what holds where one of the conditions does."""
    candidates = [condition.candidates for condition in conditions if condition.candidates is not None]
    found = None
    if len(candidates) == len(conditions) and candidates:
        together = union(*candidates).subquery()
        found = select(together.c.run_id)
    is_exact = found is not None and all(condition.is_exact for condition in conditions)
    return RunCondition(
        or_(false(), *(condition.holds for condition in conditions)), found, is_exact, tuple(conditions)
    )


def none_of(condition: RunCondition) -> RunCondition:
    """Return what holds where the condition does not."""
    return RunCondition(not_(condition.holds))


def has_status(status: str) -> RunCondition:
    """Return whether a run has the status, as MLflow's clients are told it."""
    of_status = select(runs.c.run_id).where(runs.c.status == status)
    if status == MLFLOW_STATUS_OF_LOST:
        together = union(of_status, select(lost_runs.c.run_id)).subquery()
        of_status = select(together.c.run_id)
    holds = MLFLOW_STATUS == status  # noqa: SIM300 (a column is no constant)
    return RunCondition(holds, of_status)


def has(table: Table, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return whether a run has a row in a table that fulfils the conditions.

    A scalar sub-select, which PostgreSQL looks up for each run that it comes to, where it would turn EXISTS into a
    join of all rows whenever it errs about how many there are.
    """
    row = select(literal_column("1", Integer)).where(table.c.run_id == runs.c.run_id, *conditions).limit(1)
    return row.correlate(runs).scalar_subquery().is_not(None)


def runs_with(column: Column) -> Select[str]:
    """Return the ids of the runs that have a param, tag or metric of this key."""
    table = KEYED[column.entity]
    return select(table.c.run_id).where(table.c.key == column.key)


def runs_with_text(column: Column, values: Sequence[str], dialect: str) -> Select[str]:
    """Return the ids of the runs whose param or tag may have one of these values."""
    parts = sorted({indexed_part(value, dialect) for value in values})
    indexed = indexed_value(KEYED[column.entity], dialect)
    return runs_with(column).where(indexed == parts[0] if len(parts) == 1 else indexed.in_(parts))


def indexed_part(value: str, dialect: str) -> str:
    """Return what the index of a param or tag holds of a value."""
    return value if dialect == "sqlite" else value[:HEAD_CHARACTERS]


def dataset_text(key: str, dialect: str) -> ColumnElement[str]:
    """Return the name, digest or context of a row of `dataset_inputs`; the context is NULL where none was said."""
    tags_json = dataset_inputs.c.tags
    if key != "context":
        return dataset_inputs.c[key]
    if dialect == "sqlite":
        return func.json_extract(tags_json, f'$."{_CONTEXT_TAG}"', type_=Text())
    return cast(tags_json, JSON).op("->>", return_type=Text())(_CONTEXT_TAG).collate("C")


def _metric_condition(column: Column, comparison: NumberComparison) -> RunCondition:
    table = metric_summaries
    compared = number_condition(table.c[column.summary.column_name], comparison)
    holds = has(table, table.c.key == column.key, compared)
    is_indexed = column.summary in INDEXED_SUMMARIES and comparison.comparator is not Comparator.NOT_EQUAL
    if is_indexed:
        return RunCondition(holds, runs_with(column).where(compared), True)
    return RunCondition(holds, runs_with(column))


def _is_among(column: ColumnElement[str], values: Sequence[str], is_negated: bool) -> ColumnElement[bool]:
    return column.not_in(values) if is_negated else column.in_(values)
