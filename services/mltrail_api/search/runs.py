"""runs/search: which runs match a filter, in which order, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    not_,
    null,
    or_,
    select,
    true,
)

from mltrail_api.search.conditions import number_condition, text_condition, time_condition
from mltrail_api.search.expression import (
    And,
    Column,
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
from mltrail_api.search.page_token import AfterRun, Offset, Start, decode_token, encode_token
from mltrail_api.search.parse import parse_run_filter, parse_run_order
from mltrail_api.search.placement import (
    ARTIFACT_URI,
    IS_DELETED,
    MLFLOW_STATUS,
    PLACED_RUNS,
    SHOWN_STATUS,
    is_in_view,
    is_placed_in,
)
from mltrail_core.errors import Invalid
from mltrail_core.readmodel.tables import (
    dataset_inputs,
    metric_summaries,
    params,
    runs,
    tags,
)
from mltrail_core.rules import LOST_STATUS

_NEWEST_FIRST = OrderTerm(Column(Entity.ATTRIBUTE, "start_time"), is_ascending=False)
_TEXT_ATTRIBUTES: dict[str, ColumnElement[str]] = {
    "run_id": runs.c.run_id,
    "run_name": runs.c.name,
    "user_id": runs.c.user,
    "status": MLFLOW_STATUS,
    "artifact_uri": ARTIFACT_URI,
}
_TIME_ATTRIBUTES: dict[str, ColumnElement[int]] = {"start_time": runs.c.started_us, "end_time": runs.c.ended_us}
_KEYED: dict[Entity, Table] = {Entity.PARAM: params, Entity.TAG: tags, Entity.METRIC: metric_summaries}
_CONTEXT_TAG = "mlflow.data.context"
_SortKey = ColumnElement[int] | ColumnElement[float] | ColumnElement[str]


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
) -> RunPage:
    """Return a page of the runs of some experiments that match a filter, as runs/search of MLflow's SQL store does.

    Whoever walks the pages of the default order sees every run that was there at the start exactly once, also while
    runs are added; pages of other orders shift when runs are added or change.

    Args:
        connection: on the read model; `load_runs` gives the runs themselves.
        experiment_ids: ids or aliases of experiments; none of them match nothing.
        filter_string: what `parse_run_filter` takes.
        run_view_type: a run is deleted by its own event or with its experiment.
        max_results: 1 to 50,000.
        order_by: what `parse_run_order` takes; ties are broken by newest start, then run id.
        page_token: of the page before, from the same search.

    Raises:
        Invalid: an argument is malformed; the message says which, and where in it.
    """
    check_max_results(max_results)
    terms = parse_run_order(order_by)
    expression = parse_run_filter(filter_string)
    start = decode_token("runs", page_token)
    is_default_order = terms in ((), (_NEWEST_FIRST,))
    source, order = _ordering(terms)
    query = (
        select(runs.c.run_id, runs.c.started_us)
        .select_from(source)
        .where(
            is_placed_in(connection, experiment_ids),
            is_in_view(IS_DELETED, run_view_type),
            _condition(expression, connection.dialect.name),
        )
        .order_by(*order)
        .limit(max_results + 1)
    )
    rows = connection.execute(_from(query, start, is_default_order)).all()
    next_page_token = None
    if len(rows) > max_results:
        last = rows[max_results - 1]
        following: Start = AfterRun(last.started_us, last.run_id)
        if not is_default_order:
            following = Offset((start.count if isinstance(start, Offset) else 0) + max_results)
        next_page_token = encode_token("runs", following)
    return RunPage(tuple(row.run_id for row in rows[:max_results]), next_page_token)


def _from(query: Select[str, int], start: Start, is_default_order: bool) -> Select[str, int]:
    match start:
        case Offset(count):
            return query.offset(count) if count else query
        case AfterRun(started_us, run_id) if is_default_order:
            is_later = and_(runs.c.started_us == started_us, runs.c.run_id > run_id)
            return query.where(or_(runs.c.started_us < started_us, is_later))
        case _:
            raise Invalid("the page token belongs to a search in another order; keep order_by the same on every page")


def _condition(expression: Expression, dialect: str) -> ColumnElement[bool]:
    match expression:
        case And(parts):
            return and_(true(), *(_condition(part, dialect) for part in parts))
        case Presence(column, is_present):
            table = _KEYED[column.entity]
            has_key = _exists(table, table.c.key == column.key)
            return has_key if is_present else not_(has_key)
        case NumberComparison(Column(Entity.METRIC, key)):
            table = metric_summaries
            return _exists(table, table.c.key == key, number_condition(table.c.last_value, expression))
        case NumberComparison(column):
            return time_condition(_TIME_ATTRIBUTES[column.key], expression)
        case TextComparison(Column(Entity.ATTRIBUTE, "status"), value=value) if value.upper() == LOST_STATUS:
            return text_condition(SHOWN_STATUS, expression, dialect)
        case TextComparison(Column(Entity.ATTRIBUTE, key)):
            return text_condition(_TEXT_ATTRIBUTES[key], expression, dialect)
        case TextComparison(Column(Entity.DATASET, key)):
            return _exists(dataset_inputs, text_condition(dataset_text(key, dialect), expression, dialect))
        case TextComparison(column):
            table = _KEYED[column.entity]
            return _exists(table, table.c.key == column.key, text_condition(table.c.value, expression, dialect))
        case Membership(Column(Entity.DATASET, key), values, is_negated):
            return _exists(dataset_inputs, _is_among(dataset_text(key, dialect), values, is_negated))
        case Membership(column, values, is_negated):
            return _is_among(_TEXT_ATTRIBUTES[column.key], values, is_negated)
        case _ as unreachable:
            assert_never(unreachable)


def _exists(table: Table, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(table.c.run_id == runs.c.run_id, *conditions).correlate(runs)


def _is_among(column: ColumnElement[str], values: Sequence[str], is_negated: bool) -> ColumnElement[bool]:
    return column.not_in(values) if is_negated else column.in_(values)


def dataset_text(key: str, dialect: str) -> ColumnElement[str]:
    """Return the name, digest or context of a row of `dataset_inputs`; the context is NULL where none was said."""
    tags_json = dataset_inputs.c.tags
    if key != "context":
        return dataset_inputs.c[key]
    if dialect == "sqlite":
        return func.json_extract(tags_json, f'$."{_CONTEXT_TAG}"', type_=Text())
    return cast(tags_json, JSON).op("->>", return_type=Text())(_CONTEXT_TAG).collate("C")


def _ordering(terms: Sequence[OrderTerm]) -> tuple[FromClause, list[_SortKey]]:
    """Return the runs joined with what they are sorted by, and the ORDER BY, as `_get_orderby_clauses` of MLflow."""
    source = PLACED_RUNS
    order: list[_SortKey] = []
    for term in terms:
        column = term.column
        if column.entity is Entity.ATTRIBUTE:
            value = _TIME_ATTRIBUTES.get(column.key, _TEXT_ATTRIBUTES.get(column.key))
            assert value is not None
            order.append(case((value.is_(null()), 1), else_=0))
        else:
            table = _KEYED[column.entity].alias()
            source = source.outerjoin(table, and_(table.c.run_id == runs.c.run_id, table.c.key == column.key))
            value = table.c.last_value if column.entity is Entity.METRIC else table.c.value
            order.append(case((table.c.run_id.is_(null()), 2), (value.is_(null()), 1), else_=0))
        order.append(value.asc() if term.is_ascending else value.desc())
    if not any(term.column == _NEWEST_FIRST.column for term in terms):
        order.append(runs.c.started_us.desc())
    return source, [*order, runs.c.run_id.asc()]
