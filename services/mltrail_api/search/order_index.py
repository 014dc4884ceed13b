"""Indexes that hold runs in the order of a term: which terms have one, and how it is walked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, not_, null, select

from mltrail_api.search.expression import Column, Entity, Summary
from mltrail_api.search.placement import PLACED_RUNS, placed
from mltrail_api.search.run_conditions import (
    INDEXED_SUMMARIES,
    KEYED,
    MAY_BE_NULL,
    RunCondition,
    has,
    indexed_part,
    runs_with,
)
from mltrail_api.search.run_order import IS_NULL, LACKS_KEY, SortValue
from mltrail_core.readmodel.tables import (
    HEAD_CHARACTERS,
    RUN_DURATION_US,
    indexed_text,
    indexed_value,
    metric_summaries,
    runs,
)


@dataclass(frozen=True, slots=True)
class OrderIndex:
    """An index in the order of one column: of an attribute, of a metric's values, of the heads of a param or tag.

    Attributes:
        column: what is sorted by.
        value: what the index holds in order; of a long text, its head.
        table: whose index it is.
        source: that table, with `runs` and their experiments.
        walked: what selects the part of the index.
        is_in_order: whether that part is in the order of the values; else it is read from end to end.
    """

    dialect: str
    column: Column
    value: ColumnElement[Any]  # of the column's type
    table: FromClause
    source: FromClause
    walked: tuple[ColumnElement[bool], ...]
    is_in_order: bool = True

    def part_of(self, value: SortValue) -> SortValue:
        """Return what the index holds of a value."""
        return indexed_part(value, self.dialect) if isinstance(value, str) else value

    def is_cut(self, part: SortValue) -> bool:
        """Return whether values that differ may share this part."""
        return isinstance(part, str) and self.dialect != "sqlite" and len(part) == HEAD_CHARACTERS

    def ties(self, part: SortValue) -> RunCondition:
        """Return the condition that the index holds this part for a run."""
        if self.column.entity is Entity.ATTRIBUTE:
            tied = self.value == part
            return RunCondition(tied, select(runs.c.run_id).where(*self.walked, tied), True)
        table = KEYED[self.column.entity]
        if table is metric_summaries:
            return self._of_key(table.c[self.column.summary.column_name] == part)
        return self._of_key(indexed_value(table, self.dialect) == part)

    def missing(self) -> tuple[tuple[int, RunCondition], ...]:
        """Return the ranks of runs without a value, in order, and the condition of each."""
        if self.column.entity is Entity.ATTRIBUTE:
            if self.column.key not in MAY_BE_NULL:
                return ()
            is_null = self.value.is_(null())
            return ((IS_NULL, RunCondition(is_null, select(runs.c.run_id).where(self.walked[0], is_null), True)),)
        table = KEYED[self.column.entity]
        lacks = RunCondition(not_(has(table, table.c.key == self.column.key)))
        if table is not metric_summaries:
            return ((LACKS_KEY, lacks),)
        return ((IS_NULL, self._of_key(table.c[self.column.summary.column_name].is_(null()))), (LACKS_KEY, lacks))

    def _of_key(self, condition: ColumnElement[bool]) -> RunCondition:
        table = KEYED[self.column.entity]
        holds = has(table, table.c.key == self.column.key, condition)
        return RunCondition(holds, runs_with(self.column).where(condition), True)


def order_index(column: Column, experiment_id: str | None, dialect: str) -> OrderIndex | None:
    """Return the index in the order of a column, None when there is none.

    Args:
        experiment_id: of the only experiment that is searched, if it is one.
    """
    if column.entity is Entity.ATTRIBUTE:
        return _index_of_attribute(column, experiment_id, dialect)
    if column.summary not in INDEXED_SUMMARIES:
        return None
    table = KEYED[column.entity].alias("walked")
    source = placed(table.join(runs, runs.c.run_id == table.c.run_id))
    of_key = table.c.key == column.key
    if column.entity is Entity.METRIC:
        value = table.c[column.summary.column_name]
        is_in_order = column.summary is Summary.LAST
        return OrderIndex(dialect, column, value, table, source, (of_key, value.is_not(null())), is_in_order)
    return OrderIndex(dialect, column, indexed_value(table, dialect), table, source, (of_key,))


def _index_of_attribute(column: Column, experiment_id: str | None, dialect: str) -> OrderIndex | None:
    walked = () if experiment_id is None else (runs.c.experiment_id == experiment_id,)
    if column.key == "start_time":
        return OrderIndex(dialect, column, runs.c.started_us, runs, PLACED_RUNS, walked)
    if experiment_id is None:  # the other indexes hold the runs of each experiment apart
        return None
    values: dict[str, ColumnElement[Any]] = {  # of several types
        "end_time": runs.c.ended_us,
        "duration": RUN_DURATION_US,
        "run_name": indexed_text(runs.c.name, dialect),
    }
    value = values.get(column.key)
    if value is None:
        return None
    if column.key in MAY_BE_NULL:
        walked = (*walked, value.is_not(null()))
    return OrderIndex(dialect, column, value, runs, PLACED_RUNS, walked)
