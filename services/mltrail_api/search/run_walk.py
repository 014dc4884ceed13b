"""Finding a page of runs among very many, without looking at them all.

There are three ways, none of which leaves the choice of an index to the database, which knows nothing about the values
of one key. A condition that few runs may fulfil gives them all, to be looked at and sorted. Else the runs are walked
in the order asked for, through an index that has it, until enough fulfil the conditions. When the walk comes through
too many, all runs are looked at, which costs as much as there are runs; that is left to searches that find next to
nothing by several conditions that are fulfilled often, and to orders that no index has.

An order of several terms is walked by its first; the runs that tie there are a page of the other terms' order, under
the condition that they tie: a recursion. So ties cost nothing, as where a param has three values in 100,000 runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, ScalarSelect, Select, func, intersect, select

from mltrail_api.search.expression import OrderTerm
from mltrail_api.search.order_index import OrderIndex, order_index
from mltrail_api.search.placement import PLACED_RUNS, placed
from mltrail_api.search.run_conditions import RunCondition, has_status
from mltrail_api.search.run_order import (
    HAS_VALUE,
    NEWEST_FIRST,
    STATUS,
    Position,
    SortValue,
    is_after,
    sorted_source,
)
from mltrail_api.search.run_where import Where
from mltrail_core.readmodel.tables import runs
from mltrail_core.rules import RUN_STATUSES


@dataclass(frozen=True, slots=True)
class Effort:
    """How much a search looks at before it takes another way.

    Attributes:
        few_runs: so many can as well be looked at all.
        rare_runs: so many that may fulfil a condition are looked at all, before any walk.
        first_rows: so many are walked through at first.
        counted_runs: so many that may fulfil a condition are looked at all, when the first walk led too far; None: as
            many as an index of the database gives in some 15 ms.
        walked_rows: so many are walked through when there is no such condition.
    """

    few_runs: int = 2_000
    rare_runs: int = 1_000
    first_rows: int = 1_500
    counted_runs: int | None = None
    walked_rows: int = 10_000

    def counted_on(self, dialect: str) -> int:
        """Return how many candidates of a condition are counted on a database."""
        return _COUNTED_RUNS[dialect] if self.counted_runs is None else self.counted_runs


_COUNTED_RUNS = {"postgresql": 100_000, "sqlite": 30_000}
_MAX_COUNTED = 100
"""Conditions, of one search."""


class _WalkedTooFar(Exception):
    """So many rows were walked that all of them are better looked at; `likely_rows` may fill the page."""

    def __init__(self, likely_rows: float = math.inf) -> None:
        super().__init__()
        self.likely_rows = likely_rows


def page_of(
    connection: Connection,
    where: Where,
    terms: Sequence[OrderTerm],
    after: Position | None,
    limit: int,
    effort: Effort,
) -> list[str]:
    """Return the ids of the first `limit` runs after a place in a whole order (see `whole_order`)."""
    counted_runs = effort.counted_on(connection.dialect.name)
    is_plain = len(terms) == 1 and not where.uncounted  # then the walk ends as soon as the page is full
    if not is_plain and _has_few(connection, where, effort):
        return _sorted_page(connection, where, terms, after, limit)
    if where.uncounted and not _is_walked_in_order(connection, where, terms[0]):
        # All values of a key would be read to find where the page ends: reading a set costs less.
        counted = _counted(connection, where, counted_runs)
        if counted.rare:
            return _sorted_page(connection, counted, terms, after, limit)
    try:
        return _Walk(connection, effort.rare_runs, effort.first_rows).page(where, terms, after, limit)
    except _WalkedTooFar as walk:
        likely_rows = walk.likely_rows
        counted = _counted(connection, where, counted_runs)
    if likely_rows <= min(effort.walked_rows, counted.rows_of_sets(connection.dialect.name)):
        try:
            walk_on = _Walk(connection, effort.rare_runs, effort.walked_rows)
            return walk_on.page(counted.without_counts(), terms, after, limit)
        except _WalkedTooFar:
            pass  # what comes next looks at all runs
    return _sorted_page(connection, counted, terms, after, limit)


def _is_walked_in_order(connection: Connection, where: Where, term: OrderTerm) -> bool:
    if term.column == STATUS:
        return True
    index = order_index(term.column, where.placement.only_id, connection.dialect.name)
    return index is not None and index.is_in_order


def _counted(connection: Connection, where: Where, bound: int) -> Where:
    """Return the same runs, with those conditions known to be rare that at most `bound` runs may fulfil."""
    asked = [condition for condition in where.uncounted if condition.candidates is not None][:_MAX_COUNTED]
    if not asked:
        return where
    counts = [_bounded_count(each.countable, bound) for each in asked if each.countable is not None]
    counted = zip(connection.execute(select(*counts)).one(), asked, strict=True)
    rare = [(count, condition) for count, condition in counted if count <= bound]
    return replace(where, rare=tuple(sorted((*where.rare, *rare), key=lambda pair: pair[0])))


def _has_few(connection: Connection, where: Where, effort: Effort) -> bool:
    placed_runs = select(runs.c.run_id).where(where.placement.holds)
    count: int = connection.execute(select(_bounded_count(placed_runs, effort.few_runs))).scalar_one()
    return count <= effort.few_runs


def _bounded_count(run_ids: Select[str], bound: int) -> ScalarSelect[int]:
    """Return how many there are, or one more than `bound` if there are more."""
    return select(func.count()).select_from(run_ids.limit(bound + 1).subquery()).scalar_subquery()


def _sorted_page(
    connection: Connection, where: Where, terms: Sequence[OrderTerm], after: Position | None, limit: int
) -> list[str]:
    """Return the page after looking at all runs, or at those that fulfil what an index tells."""
    source, asked = PLACED_RUNS, where.ordered()
    found = where.sets()
    sets = [condition.candidates for condition in found if condition.candidates is not None]
    if sets:
        few = (intersect(*sets) if len(sets) > 1 else sets[0]).cte("few").prefix_with("MATERIALIZED")
        source = placed(few.join(runs, runs.c.run_id == few.c.run_id))
        asked = where.ordered(found, few.c.run_id)
    source, keys = sorted_source(source, terms)
    query = (
        select(runs.c.run_id)
        .select_from(source)
        .where(*asked, is_after(after, keys))
        .order_by(*(clause for key in keys for clause in key.clauses()), runs.c.run_id.asc())
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


@dataclass(frozen=True, slots=True)
class _Walk:
    """The walks of one search; each raises `_WalkedTooFar` when too many runs are on its way."""

    connection: Connection
    rare_runs: int
    walked_rows: int

    def page(self, where: Where, terms: Sequence[OrderTerm], after: Position | None, limit: int) -> list[str]:
        """Return the ids of the first `limit` runs after a place in the order of `terms` and run ids."""
        where = replace(_counted(self.connection, where, self.rare_runs), uncounted=())
        if where.rare or not terms:
            return _sorted_page(self.connection, where, terms, after, limit)
        if terms[0].column == STATUS:
            return self._statuses(where, terms, after, limit)
        index = order_index(terms[0].column, where.placement.only_id, self.connection.dialect.name)
        if index is None:
            raise _WalkedTooFar
        if len(terms) == 1 and terms[0].column == NEWEST_FIRST.column:
            return self._starts(where, index, terms[0], after, limit)
        found: list[str] = []
        rank, value = (HAS_VALUE, None) if after is None else after.values[0]
        if rank == HAS_VALUE:
            if after is not None:
                found += self._tied(where, index, terms, index.part_of(value), after, limit)
                after = None
            if len(found) < limit:
                found += self._values(where, index, terms, index.part_of(value), limit - len(found))
        for missing, condition in index.missing():
            if len(found) < limit and missing >= rank:
                rest = after.rest if after is not None and missing == rank else None
                found += self.page(where.under(condition), terms[1:], rest, limit - len(found))
        return found

    def _statuses(self, where: Where, terms: Sequence[OrderTerm], after: Position | None, limit: int) -> list[str]:
        """Return runs in the order of their status: there are so few that each is a search of its own."""
        found: list[str] = []
        statuses = sorted(RUN_STATUSES, reverse=not terms[0].is_ascending)
        at = None if after is None else str(after.values[0][1])
        for status in statuses:
            if len(found) < limit and (at is None or (status >= at if terms[0].is_ascending else status <= at)):
                rest = after.rest if after is not None and status == at else None
                found += self.page(where.under(has_status(status)), terms[1:], rest, limit - len(found))
        return found

    def _starts(
        self, where: Where, index: OrderIndex, term: OrderTerm, after: Position | None, limit: int
    ) -> list[str]:
        """Return runs in the order of their start and then of their ids."""
        walked = list(index.walked)
        if after is not None:
            _, beyond = after.values[0]
            walked.append(index.value >= beyond if term.is_ascending else index.value <= beyond)
        end = self._end_of_walk(index, term, walked) if where.is_filtered else None
        _, keys = sorted_source(index.source, [term])
        query = (
            select(runs.c.run_id)
            .select_from(index.source)
            .where(*walked, *_up_to(index, term, end), is_after(after, keys), where.holds())
            .order_by(*keys[0].clauses(), runs.c.run_id.asc())
            .limit(limit)
        )
        found = list(self.connection.execute(query).scalars())
        if len(found) < limit and end is not None:
            raise self._too_far(len(found), limit)
        return found

    def _values(
        self, where: Where, index: OrderIndex, terms: Sequence[OrderTerm], beyond: SortValue, limit: int
    ) -> list[str]:
        """Return runs that have a value for the first term, from behind those of the value `beyond`."""
        term = terms[0]
        walked = list(index.walked)
        if beyond is not None:
            walked.append(index.value > beyond if term.is_ascending else index.value < beyond)
        end = self._end_of_walk(index, term, walked)
        source, value = index.source, index.value
        if index.is_in_order:
            walked += _up_to(index, term, end)
        else:
            source, value = _read(index, [*walked, *_before(index, term, end)])
            walked = []
        query = (
            select(runs.c.run_id, value)
            .select_from(source)
            .where(*walked, where.holds())
            .order_by(value.asc() if term.is_ascending else value.desc())
            .limit(limit + 1)
        )
        rows = self.connection.execute(query).all()
        if len(rows) <= limit and end is not None and index.is_in_order:
            raise self._too_far(len(rows), limit)
        # The runs that tie with the last one may not all be here: they are a page of their own.
        last = rows[-1][1] if len(rows) > limit else None
        whole = [row for row in rows if last is None or row[1] != last]
        found: list[str] = [run_id for run_id, _ in whole]
        if len({part for _, part in whole}) < len(whole):
            listed = RunCondition(runs.c.run_id.in_(found))
            found = _sorted_page(self.connection, replace(where, conditions=(listed,), rare=()), terms, None, limit)
        if last is None and end is not None:
            last = end  # all before it were read
        if last is not None and len(found) < limit:
            found += self._tied(where, index, terms, last, None, limit - len(found))
        if len(found) < limit and end is not None:
            raise self._too_far(len(found), limit)
        return found

    def _tied(
        self,
        where: Where,
        index: OrderIndex,
        terms: Sequence[OrderTerm],
        part: SortValue,
        after: Position | None,
        limit: int,
    ) -> list[str]:
        """Return runs for which the index of the first term holds this part, from behind `after`."""
        tied = where.under(index.ties(part))
        if index.is_cut(part):
            return _sorted_page(self.connection, tied, terms, after, limit)
        return self.page(tied, terms[1:], None if after is None else after.rest, limit)

    def _too_far(self, found: int, limit: int) -> _WalkedTooFar:
        return _WalkedTooFar(self.walked_rows * limit / found if found else math.inf)

    def _end_of_walk(self, index: OrderIndex, term: OrderTerm, walked: Sequence[ColumnElement[bool]]) -> SortValue:
        """Return the value up to which to walk, None where the walk may go on to the end.

        A value and no LIMIT around the part walked: SQLite would sort all of that first.
        """
        by_value = index.value.asc() if term.is_ascending else index.value.desc()
        query = select(index.value).select_from(index.table).where(*walked).order_by(by_value)
        value: SortValue = self.connection.execute(query.offset(self.walked_rows).limit(1)).scalar()
        return value


def _up_to(index: OrderIndex, term: OrderTerm, end: SortValue) -> list[ColumnElement[bool]]:
    if end is None:
        return []
    return [index.value <= end if term.is_ascending else index.value >= end]


def _before(index: OrderIndex, term: OrderTerm, end: SortValue) -> list[ColumnElement[bool]]:
    if end is None:
        return []
    return [index.value < end if term.is_ascending else index.value > end]


def _read(index: OrderIndex, read: Sequence[ColumnElement[bool]]) -> tuple[FromClause, ColumnElement[Any]]:
    """Return the part of an index that `read` selects, read before its runs are looked up, and its values."""
    part = select(index.table.c.run_id, index.value.label("value")).where(*read)
    apart = part.cte("apart").prefix_with("MATERIALIZED")
    return placed(apart.join(runs, runs.c.run_id == apart.c.run_id)), apart.c.value
