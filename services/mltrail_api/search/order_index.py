"""Indexes that hold runs in the order of a term: which terms have one, and how it is walked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, not_, null, select

from mltrail_api.search.expression import Column, Entity, Summary
from mltrail_api.search.placement import PLACED_RUNS, placed
from mltrail_api.search.run_conditions import KEYED, RunCondition, has, indexed_part, runs_with
from mltrail_api.search.run_order import IS_NULL, LACKS_KEY, SortValue
from mltrail_core.readmodel.tables import HEAD_CHARACTERS, indexed_value, metric_summaries, runs


@dataclass(frozen=True, slots=True)
class OrderIndex:
    """An index in the order of one column: of starts, of a metric's last values, of the heads of a param or tag.

    Attributes:
        column: what is sorted by.
        value: what the index holds in order; of a long text, its head.
        table: whose index it is.
        source: that table, with `runs` and their experiments.
        walked: what selects the part of the index.
    """

    dialect: str
    column: Column
    value: ColumnElement[Any]  # of the column's type
    table: FromClause
    source: FromClause
    walked: tuple[ColumnElement[bool], ...]

    def part_of(self, value: SortValue) -> SortValue:
        """Return what the index holds of a value."""
        return indexed_part(value, self.dialect) if isinstance(value, str) else value

    def is_cut(self, part: SortValue) -> bool:
        """Return whether values that differ may share this part."""
        return isinstance(part, str) and self.dialect != "sqlite" and len(part) == HEAD_CHARACTERS

    def ties(self, part: SortValue) -> RunCondition:
        """Return the condition that the index holds this part for a run."""
        if self.column.entity is Entity.ATTRIBUTE:
            started = runs.c.started_us == part
            return RunCondition(started, select(runs.c.run_id).where(started), True)
        table = KEYED[self.column.entity]
        is_tied = (table.c.last_value if table is metric_summaries else indexed_value(table, self.dialect)) == part
        return RunCondition(
            has(table, table.c.key == self.column.key, is_tied), runs_with(self.column).where(is_tied), True
        )

    def missing(self) -> tuple[tuple[int, RunCondition], ...]:
        """Return the ranks of runs without a value, in order, and the condition of each."""
        if self.column.entity is Entity.ATTRIBUTE:
            return ()
        table = KEYED[self.column.entity]
        lacks = RunCondition(not_(has(table, table.c.key == self.column.key)))
        if table is not metric_summaries:
            return ((LACKS_KEY, lacks),)
        is_nan = table.c.last_value.is_(null())
        nan = RunCondition(
            has(table, table.c.key == self.column.key, is_nan), runs_with(self.column).where(is_nan), True
        )
        return ((IS_NULL, nan), (LACKS_KEY, lacks))


def order_index(column: Column, experiment_id: str | None, dialect: str) -> OrderIndex | None:
    """Return the index in the order of a column, None when there is none.

    Args:
        experiment_id: of the only experiment that is searched, if it is one.
    """
    if column.entity is Entity.ATTRIBUTE:
        walked = () if experiment_id is None else (runs.c.experiment_id == experiment_id,)
        return (
            OrderIndex(dialect, column, runs.c.started_us, runs, PLACED_RUNS, walked)
            if column.key == "start_time"
            else None
        )
    if column.summary is not Summary.LAST:
        return None
    table = KEYED[column.entity].alias("walked")
    source = placed(table.join(runs, runs.c.run_id == table.c.run_id))
    if column.entity is Entity.METRIC:
        value = table.c.last_value
        return OrderIndex(dialect, column, value, table, source, (table.c.key == column.key, value.is_not(null())))
    return OrderIndex(dialect, column, indexed_value(table, dialect), table, source, (table.c.key == column.key,))
