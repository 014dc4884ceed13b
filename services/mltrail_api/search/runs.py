"""runs/search: which runs match a filter, in which order, a page at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from typing import Any, TypeGuard

from sqlalchemy import Connection, Select, bindparam, select

from mltrail_api.search.expression import And, Column, Comparison, Entity, Expression, OrderTerm, ViewType
from mltrail_api.search.limits import DEFAULT_RESULTS, check_max_results
from mltrail_api.search.page_token import After, Offset, Part, decode_token, encode_token
from mltrail_api.search.parse import parse_run_filter, parse_run_order
from mltrail_api.search.placement import ANYWHERE, IS_DELETED, PLACED_RUNS, is_in_view, placed_in
from mltrail_api.search.run_conditions import NUMBER_ATTRIBUTES, RunCondition, run_condition, together
from mltrail_api.search.run_order import HAS_VALUE, IS_NULL, LACKS_KEY, Position, sorted_source, whole_order
from mltrail_api.search.run_walk import Effort, page_of
from mltrail_api.search.run_where import Where
from mltrail_core.errors import Invalid
from mltrail_core.readmodel.tables import runs

_EFFORT = Effort()


@dataclass(frozen=True, slots=True)
class RunPage:
    """The ids of one page of matching runs, in order, and the token of the next page if there is one."""

    run_ids: tuple[str, ...]
    next_page_token: str | None


def search_runs(
    connection: Connection,
    experiment_ids: Sequence[str],
    filter_string: str | None = None,
    run_view_type: ViewType = ViewType.ACTIVE_ONLY,
    max_results: int = DEFAULT_RESULTS,
    order_by: Sequence[str] = (),
    page_token: str | None = None,
    effort: Effort = _EFFORT,
) -> RunPage:
    """Return a page of the runs of some experiments that match a filter, as runs/search of MLflow's SQL store does.

    Args:
        connection: on the read model; `load_runs` gives the runs themselves.
        experiment_ids: ids or aliases of experiments; none of them match nothing.
        filter_string: what `parse_run_filter` takes.
        run_view_type: a run is deleted by its own event or with its experiment.
        max_results: 1 to 50,000.
        order_by: what `parse_run_order` takes; ties are broken by newest start, then run id.
        page_token: of the page before, from the same search.
        effort: see `find_runs`.

    Raises:
        Invalid: an argument is malformed; the message says which, and where in it.
    """
    terms = parse_run_order(order_by)
    conditions = [
        run_condition(part, connection.dialect.name) for part in _comparisons(parse_run_filter(filter_string))
    ]
    return find_runs(connection, experiment_ids, conditions, run_view_type, max_results, terms, page_token, effort)


def find_runs(
    connection: Connection,
    experiment_ids: Sequence[str] | None,
    conditions: Sequence[RunCondition],
    run_view_type: ViewType = ViewType.ACTIVE_ONLY,
    max_results: int = DEFAULT_RESULTS,
    terms: Sequence[OrderTerm] = (),
    page_token: str | None = None,
    effort: Effort = _EFFORT,
) -> RunPage:
    """Return a page of the runs of some experiments that fulfil all conditions.

    A page begins behind the last run of the page before, by what that run was sorted by: a walk through the pages
    costs the same at every page, and shows each run that does not change meanwhile exactly once.

    Args:
        experiment_ids: ids or aliases of experiments; None means all there are.
        terms: ties are broken by newest start, then run id.
        effort: from what numbers on a search takes which way; the answers are the same.

    Raises:
        Invalid: an argument is malformed; the message says which.
    """
    check_max_results(max_results)
    order = whole_order(terms)
    after = _position(page_token, order)
    placement = ANYWHERE if experiment_ids is None else placed_in(connection, experiment_ids)
    in_view = RunCondition(is_in_view(IS_DELETED, run_view_type))
    joined = tuple(together(conditions))
    where = Where(placement, (in_view, *joined), joined)
    run_ids = page_of(connection, where, order, after, max_results + 1, effort)
    next_page_token = None
    if len(run_ids) > max_results:
        next_page_token = _token_after(connection, run_ids[max_results - 1], order)
    return RunPage(tuple(run_ids[:max_results]), next_page_token)


def _comparisons(expression: Expression) -> Iterator[Comparison]:
    if not isinstance(expression, And):
        yield expression
        return
    for part in expression.parts:
        yield from _comparisons(part)


def _token_after(connection: Connection, run_id: str, order: Sequence[OrderTerm]) -> str:
    row = connection.execute(_place_of_run(tuple(order)), {"of_run": run_id}).one()
    place: list[Part] = []
    found: Sequence[Any] = row
    for rank, value in zip(found[::2], found[1::2], strict=True):
        place += [rank, value if rank == HAS_VALUE else None]
    return encode_token("runs", After((_name_of(order), *place, run_id)))


@lru_cache(maxsize=256)
def _place_of_run(order: tuple[OrderTerm, ...]) -> Select[Any]:  # a rank and a value of each term
    source, keys = sorted_source(PLACED_RUNS, order)
    columns: list[Any] = [column for key in keys for column in (key.rank, key.value)]
    places: Select[Any] = select(*columns)
    return places.select_from(source).where(runs.c.run_id == bindparam("of_run"))


def _position(page_token: str | None, order: Sequence[OrderTerm]) -> Position | None:
    match decode_token("runs", page_token):
        case After((str(name), *place, str(run_id))) if name == _name_of(order) and len(place) == 2 * len(order):
            pairs = zip(place[::2], place[1::2], order, strict=True)
            values = tuple((rank, value) for rank, value, term in pairs if _is_place(rank, value, term.column))
            if len(values) == len(order):
                return Position(values, run_id)
        case Offset(0):
            return None
    raise Invalid("the page token belongs to a search in another order; keep order_by the same on every page")


def _is_place(rank: Part, value: Part, column: Column) -> TypeGuard[int]:
    if rank != HAS_VALUE:
        return rank in (IS_NULL, LACKS_KEY) and value is None
    if column.entity is Entity.METRIC:
        return isinstance(value, int | float)
    return isinstance(value, int if column.entity is Entity.ATTRIBUTE and column.key in NUMBER_ATTRIBUTES else str)


def _name_of(order: Sequence[OrderTerm]) -> str:
    return hashlib.sha256(json.dumps([astuple(term) for term in order]).encode()).hexdigest()[:12]
