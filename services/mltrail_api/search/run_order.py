"""In which order runs are found: what they are sorted by, and where in that order a page begins.

A term sorts by a rank and a value, as `_get_orderby_clauses` of MLflow's SQL store: what has a value comes first,
then what is NULL (NaN, a run without an end), then what lacks the key, in either direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    FromClause,
    and_,
    case,
    false,
    literal,
    null,
    or_,
    true,
)

from mltrail_api.search.expression import Column, Entity, OrderTerm
from mltrail_api.search.run_conditions import KEYED, MAY_BE_NULL, NUMBER_ATTRIBUTES, TEXT_ATTRIBUTES
from mltrail_core.readmodel.tables import runs

NEWEST_FIRST = OrderTerm(Column(Entity.ATTRIBUTE, "start_time"), is_ascending=False)
STATUS = Column(Entity.ATTRIBUTE, "status")
HAS_VALUE, IS_NULL, LACKS_KEY = 0, 1, 2
"""Ranks."""
SortValue = int | float | str | None


@dataclass(frozen=True, slots=True)
class Position:
    """A place in an order, just behind a run: rank and value of each term, and the run's id."""

    values: tuple[tuple[int, SortValue], ...]
    run_id: str

    @property
    def rest(self) -> Position:
        """The place among the runs that have the same first value."""
        return Position(self.values[1:], self.run_id)


@dataclass(frozen=True, slots=True)
class SortKey:
    """What one term sorts by."""

    rank: ColumnElement[int]
    value: ColumnElement[int] | ColumnElement[float] | ColumnElement[str]
    is_ascending: bool
    is_always_there: bool

    def clauses(self) -> list[ColumnElement[int] | ColumnElement[float] | ColumnElement[str]]:
        """Return the term's part of an ORDER BY."""
        by_value = self.value.asc() if self.is_ascending else self.value.desc()
        return [by_value] if self.is_always_there else [self.rank, by_value]

    def is_behind(self, rank: int, value: SortValue) -> ColumnElement[bool]:
        """Return whether a run comes after what has this rank and value."""
        if rank != HAS_VALUE:
            return false() if self.is_always_there else self.rank > rank
        further = self.value > value if self.is_ascending else self.value < value
        return further if self.is_always_there else or_(self.rank > rank, and_(self.rank == rank, further))

    def is_at(self, rank: int, value: SortValue) -> ColumnElement[bool]:
        """Return whether a run has this rank and value."""
        if self.is_always_there:
            return self.value == value
        return and_(self.rank == rank, self.value == value if rank == HAS_VALUE else true())


def whole_order(terms: Sequence[OrderTerm]) -> tuple[OrderTerm, ...]:
    """Return the terms with that which breaks their ties: newest start; after it comes the run's id."""
    if any(term.column == NEWEST_FIRST.column for term in terms):
        return tuple(terms)
    return (*terms, NEWEST_FIRST)


def sorted_source(source: FromClause, terms: Sequence[OrderTerm]) -> tuple[FromClause, list[SortKey]]:
    """Return `source`, which holds `runs`, joined with what the terms sort by, and their sort keys."""
    keys = []
    for term in terms:
        column = term.column
        if column.entity is Entity.ATTRIBUTE:
            attribute = NUMBER_ATTRIBUTES.get(column.key, TEXT_ATTRIBUTES.get(column.key))
            assert attribute is not None
            rank: ColumnElement[int] = case((attribute.is_(null()), IS_NULL), else_=HAS_VALUE)
            keys.append(SortKey(rank, attribute, term.is_ascending, column.key not in MAY_BE_NULL))
            continue
        table = KEYED[column.entity].alias()
        source = source.outerjoin(table, and_(table.c.run_id == runs.c.run_id, table.c.key == column.key))
        value = table.c[column.summary.column_name] if column.entity is Entity.METRIC else table.c.value
        rank = case((table.c.run_id.is_(null()), LACKS_KEY), (value.is_(null()), IS_NULL), else_=HAS_VALUE)
        keys.append(SortKey(rank, value, term.is_ascending, False))
    return source, keys


def is_after(position: Position | None, keys: Sequence[SortKey]) -> ColumnElement[bool]:
    """Return whether a run comes after `position` in the order of the sort keys and then of run ids."""
    if position is None:
        return true()
    condition: ColumnElement[bool] = runs.c.run_id > literal(position.run_id)
    for key, (rank, value) in zip(reversed(keys), reversed(position.values), strict=True):
        condition = or_(key.is_behind(rank, value), and_(key.is_at(rank, value), condition))
    return condition
