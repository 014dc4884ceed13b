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
    and_,
    cast,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
    union,
    union_all,
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
class RowTest:
    """What a run's row in `params`, `tags` or `metric_summaries` has to fulfil.

    Attributes:
        column: whose key the row has.
        test: of the row.
        index_test: what the index of the keys tells of it, of all rows that pass the test and maybe others.
    """

    column: Column
    test: ColumnElement[bool]
    index_test: ColumnElement[bool]

    def condition(self, is_exact: bool) -> RunCondition:
        """Return the condition that a run has such a row; `is_exact` if the index tells it."""
        table = KEYED[self.column.entity]
        holds = has(table, table.c.key == self.column.key, self.test)
        return RunCondition(holds, runs_with(self.column).where(self.index_test), is_exact, of_row=self)


@dataclass(frozen=True, slots=True)
class RunCondition:
    """What a run has to fulfil.

    Attributes:
        holds: over `runs`; true or false, never NULL.
        candidates: the ids of runs, each once, among which all are that it holds for, found by an index alone; None
            where no index helps.
        is_exact: whether it holds for all candidates.
        any_of: the conditions of which one has to hold, if it is that.
        of_row: what the run's row of one key has to fulfil, if it is that.
    """

    holds: ColumnElement[bool]
    candidates: Select[str] | None = None
    is_exact: bool = False
    any_of: tuple[RunCondition, ...] = ()
    of_row: RowTest | None = None

    @property
    def countable(self) -> Select[str] | None:
        """The ids of the candidates, each at least once: told by the indexes alone, where finding each once reads
        every row that one of several conditions holds for."""
        parts = [part.countable for part in self.any_of]
        known = [part for part in parts if part is not None]
        if self.candidates is None or not known or len(known) < len(parts):
            return self.candidates
        together = union_all(*known).subquery()
        return select(together.c.run_id)

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
            if is_present:
                return RowTest(column, true(), true()).condition(True)
            return RunCondition(not_(has(table, table.c.key == column.key)))
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
            if comparator is Comparator.EQUAL:
                is_exact = indexed_part(value, dialect) == value and len(value) != HEAD_CHARACTERS
                return RowTest(column, compared, _may_be_one_of(table, [value], dialect)).condition(is_exact)
            # SQLite's index has the whole value; PostgreSQL reads all rows of the key, which is a tenth of what looking
            # each run up would take.
            return RowTest(column, compared, compared).condition(True)
        case Membership(Column(Entity.DATASET, key), values, is_negated):
            return RunCondition(has(dataset_inputs, _is_among(dataset_text(key, dialect), values, is_negated)))
        case Membership(Column(Entity.ATTRIBUTE, key), values, is_negated):
            holds = _is_among(TEXT_ATTRIBUTES[key], values, is_negated)
            is_listed = key == "run_id" and not is_negated
            return RunCondition(holds, select(runs.c.run_id).where(holds) if is_listed else None)
        case Membership(column, values, is_negated):
            table = KEYED[column.entity]
            may_be = true() if is_negated else _may_be_one_of(table, values, dialect)
            return RowTest(column, _is_among(table.c.value, values, is_negated), may_be).condition(False)
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


def together(conditions: Sequence[RunCondition]) -> list[RunCondition]:
    """Return as few conditions that say the same: what is asked of one row is asked at once.

    So `metrics.loss > 0.3 AND metrics.loss < 0.4` is one part of an index, and a contradiction an empty one.
    """
    found: dict[object, RunCondition] = {}
    for condition in conditions:
        row = condition.of_row
        place: object = id(condition) if row is None else (row.column.entity, row.column.key)
        before = found.get(place)
        if row is not None and before is not None and before.of_row is not None:
            first = before.of_row
            both = RowTest(row.column, and_(first.test, row.test), and_(first.index_test, row.index_test))
            condition = both.condition(before.is_exact and condition.is_exact)
        found[place] = condition
    return list(found.values())


def _may_be_one_of(table: Table, values: Sequence[str], dialect: str) -> ColumnElement[bool]:
    """Return whether a param or tag may have one of these values, as far as the index tells."""
    parts = sorted({indexed_part(value, dialect) for value in values})
    indexed = indexed_value(table, dialect)
    return indexed == parts[0] if len(parts) == 1 else indexed.in_(parts)


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
    compared = number_condition(metric_summaries.c[column.summary.column_name], comparison)
    is_indexed = column.summary in INDEXED_SUMMARIES and comparison.comparator is not Comparator.NOT_EQUAL
    return RowTest(column, compared, compared if is_indexed else true()).condition(is_indexed)


def _is_among(column: ColumnElement[str], values: Sequence[str], is_negated: bool) -> ColumnElement[bool]:
    return column.not_in(values) if is_negated else column.in_(values)
