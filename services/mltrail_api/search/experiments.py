"""experiments/search: which experiments match a filter, in which order, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from sqlalchemy import ColumnElement, Connection, and_, exists, func, not_, select, true

from mltrail_api.search.conditions import text_condition, time_condition
from mltrail_api.search.expression import (
    And,
    Column,
    Comparator,
    Entity,
    Expression,
    Membership,
    NumberComparison,
    OrderTerm,
    Presence,
    TextComparison,
    ViewType,
)
from mltrail_api.search.limits import DEFAULT_RESULTS, check_max_results
from mltrail_api.search.page_token import Offset, decode_token, encode_token
from mltrail_api.search.parse import parse_experiment_filter, parse_experiment_order
from mltrail_api.search.placement import is_in_view, own_experiment_ids
from mltrail_core.errors import Invalid
from mltrail_core.readmodel.tables import experiment_tags, experiments

_ID = Column(Entity.ATTRIBUTE, "experiment_id")
_DEFAULT_ORDER = (OrderTerm(Column(Entity.ATTRIBUTE, "creation_time"), False), OrderTerm(_ID, True))
_TIMES: dict[str, ColumnElement[int]] = {
    "creation_time": experiments.c.created_us,
    "last_update_time": experiments.c.updated_us,
}


@dataclass(frozen=True, slots=True)
class ExperimentPage:
    """The ids of one page of matching experiments, in order, and the token of the next page if there is one."""

    experiment_ids: tuple[str, ...]
    next_page_token: str | None


def search_experiments(
    connection: Connection,
    filter_string: str | None = None,
    view_type: ViewType = ViewType.ACTIVE_ONLY,
    max_results: int = DEFAULT_RESULTS,
    order_by: Sequence[str] = (),
    page_token: str | None = None,
) -> ExperimentPage:
    """Return a page of the experiments that match a filter, as experiments/search of MLflow's SQL store does.

    Args:
        connection: on the read model; `load_experiments` gives the experiments themselves.
        filter_string: what `parse_experiment_filter` takes.
        view_type: whether active or deleted ones are wanted.
        max_results: 1 to 50,000.
        order_by: what `parse_experiment_order` takes; newest first when it is empty.
        page_token: of the page before, from the same search.

    Raises:
        Invalid: an argument is malformed; the message says which, and where in it.
    """
    check_max_results(max_results)
    terms = parse_experiment_order(order_by) or _DEFAULT_ORDER
    start = decode_token("experiments", page_token)
    if not isinstance(start, Offset):
        raise Invalid("the page token is not one of a search for experiments; begin again without a token")
    query = (
        select(experiments.c.experiment_id)
        .where(
            is_in_view(experiments.c.is_deleted, view_type),
            _condition(connection, parse_experiment_filter(filter_string)),
        )
        .order_by(*_ordering(terms))
        .limit(max_results + 1)
        .offset(start.count)
    )
    found = connection.execute(query).scalars().all()
    has_more = len(found) > max_results
    next_page_token = encode_token("experiments", Offset(start.count + max_results)) if has_more else None
    return ExperimentPage(tuple(found[:max_results]), next_page_token)


def _condition(connection: Connection, expression: Expression) -> ColumnElement[bool]:
    dialect = connection.dialect.name
    match expression:
        case And(parts):
            return and_(true(), *(_condition(connection, part) for part in parts))
        case Presence(column, is_present):
            has_tag = _has_tag(experiment_tags.c.key == column.key)
            return has_tag if is_present else not_(has_tag)
        case NumberComparison(column):
            return time_condition(_TIMES[column.key], expression)
        case Membership(_, values, is_negated):
            return _is_among(connection, values, is_negated)
        case TextComparison(Column(Entity.TAG, key)):
            return _has_tag(experiment_tags.c.key == key, text_condition(experiment_tags.c.value, expression, dialect))
        case TextComparison(column) if column == _ID:
            return _is_among(connection, [expression.value], expression.comparator is Comparator.NOT_EQUAL)
        case TextComparison():
            return text_condition(experiments.c.name, expression, dialect)
        case _ as unreachable:
            assert_never(unreachable)


def _has_tag(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return (
        exists()
        .where(experiment_tags.c.experiment_id == experiments.c.experiment_id, *conditions)
        .correlate(experiments)
    )


def _is_among(connection: Connection, experiment_ids: Sequence[str], is_negated: bool) -> ColumnElement[bool]:
    own_ids = own_experiment_ids(connection, experiment_ids)
    column = experiments.c.experiment_id
    return column.not_in(own_ids) if is_negated else column.in_(own_ids)


def _ordering(terms: Sequence[OrderTerm]) -> list[ColumnElement[int] | ColumnElement[str]]:
    """Return the ORDER BY, as `_get_search_experiments_order_by_clauses` of MLflow: ties fall to the higher id."""
    if not any(term.column == _ID for term in terms):
        terms = (*terms, OrderTerm(_ID, False))
    order: list[ColumnElement[int] | ColumnElement[str]] = []
    for term in terms:
        columns: list[ColumnElement[int] | ColumnElement[str]]
        if term.column == _ID:  # decimal numbers kept as text: the longer is the larger
            columns = [func.length(experiments.c.experiment_id), experiments.c.experiment_id]
        else:
            columns = [_TIMES.get(term.column.key, experiments.c.name)]
        order += [column.asc() if term.is_ascending else column.desc() for column in columns]
    return order
