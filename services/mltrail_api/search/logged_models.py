"""logged-models/search: which logged models match a filter and datasets, in which order, a page at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any, assert_never

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Subquery,
    Table,
    and_,
    case,
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
    Presence,
    TextComparison,
)
from mltrail_api.search.limits import check_max_results
from mltrail_api.search.page_token import Offset, decode_token, encode_token
from mltrail_api.search.parse import MAX_ORDER_TERMS, parse_model_filter
from mltrail_api.search.placement import MODEL_EXPERIMENT_ID, PLACED_MODELS, own_experiment_ids
from mltrail_core.errors import Invalid
from mltrail_core.readmodel.tables import (
    deleted_logged_models,
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
)

DEFAULT_RESULTS = 100
MAX_DATASETS = 100

_TEXTS: dict[str, ColumnElement[str]] = {
    "model_id": logged_models.c.model_id,
    "name": logged_models.c.name,
    "model_type": logged_models.c.model_type,
    "status": logged_models.c.status,
    "source_run_id": logged_models.c.source_run_id,
    "experiment_id": MODEL_EXPERIMENT_ID,
}
_TIMES: dict[str, ColumnElement[int]] = {
    "creation_timestamp_ms": logged_models.c.created_us,
    "last_updated_timestamp_ms": logged_models.c.updated_us,
}
_OTHER_NAMES = {
    "creation_time": "creation_timestamp_ms",
    "creation_timestamp": "creation_timestamp_ms",
    "last_updated_timestamp": "last_updated_timestamp_ms",
}
_KEYED: dict[Entity, Table] = {Entity.PARAM: logged_model_params, Entity.TAG: logged_model_tags}


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset that metrics of a model were measured on; an empty digest means any."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class ModelOrder:
    """What to sort by: an attribute, or `metrics.<key>` on one dataset, where empty texts mean any."""

    field_name: str
    is_ascending: bool
    dataset: Dataset


@dataclass(frozen=True, slots=True)
class ModelPage:
    """The ids of one page of matching logged models, in order, and the token of the next page if there is one."""

    model_ids: tuple[str, ...]
    next_page_token: str | None


def search_models(
    connection: Connection,
    experiment_ids: Sequence[str],
    filter_string: str = "",
    datasets: Sequence[Dataset] = (),
    max_results: int = DEFAULT_RESULTS,
    order_by: Sequence[ModelOrder] = (),
    page_token: str = "",
) -> ModelPage:
    """Return a page of the logged models of some experiments, as logged-models/search of MLflow's SQL store does.

    Args:
        connection: to the read model.
        experiment_ids: of the experiments, or aliases of them.
        filter_string: what `parse_model_filter` takes; a metric matches by any point logged for the model.
        datasets: only points on one of these count for metrics in the filter; with none there, models that have any.
        max_results: 1 to 50,000.
        order_by: what lacks a value comes last; ties fall to the newest model, then to the lower id. A metric counts
            by its latest point by (time, step).
        page_token: of the page before, from the same search.

    Raises:
        Invalid: an argument is malformed; the message says which, and where in it.
    """
    check_max_results(max_results)
    if len(datasets) > MAX_DATASETS:
        raise Invalid(f"{len(datasets)} datasets were given; at most {MAX_DATASETS} are allowed")
    expression = parse_model_filter(filter_string)
    what = _name_of_search(experiment_ids, filter_string, datasets, order_by)
    start = decode_token(what, page_token)
    if not isinstance(start, Offset):
        raise Invalid("the page token is not one of a search for logged models; begin again without a token")
    is_measured = or_(*(_is_on(dataset) for dataset in datasets)) if datasets else true()
    source, order = _ordering(order_by)
    query = (
        select(logged_models.c.model_id)
        .select_from(source)
        .where(
            MODEL_EXPERIMENT_ID.in_(own_experiment_ids(connection, experiment_ids)),
            not_(_has(deleted_logged_models)),
            _condition(expression, is_measured, connection.dialect.name),
        )
        .order_by(*order)
        .offset(start.count)
        .limit(max_results + 1)
    )
    if datasets and not any(_is_of_metric(part) for part in expression.parts):
        query = query.where(_has(logged_model_metrics, is_measured))
    found = connection.execute(query).scalars().all()
    has_more = len(found) > max_results
    next_page_token = encode_token(what, Offset(start.count + max_results)) if has_more else None
    return ModelPage(tuple(found[:max_results]), next_page_token)


def _name_of_search(
    experiment_ids: Sequence[str], filter_string: str, datasets: Sequence[Dataset], order_by: Sequence[ModelOrder]
) -> str:
    # A token fits the search that gave it out and no other, as in stock, whose token repeats the whole search.
    asked = [
        list(experiment_ids),
        filter_string,
        [astuple(one) for one in datasets],
        [astuple(one) for one in order_by],
    ]
    return f"logged models {hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]}"


def _is_of_metric(expression: Expression) -> bool:
    return isinstance(expression, NumberComparison) and expression.column.entity is Entity.METRIC


def _condition(expression: Expression, is_measured: ColumnElement[bool], dialect: str) -> ColumnElement[bool]:
    match expression:
        case And(parts):
            return and_(true(), *(_condition(part, is_measured, dialect) for part in parts))
        case NumberComparison(Column(Entity.METRIC, key)):
            points = logged_model_metrics
            return _has(points, points.c.key == key, number_condition(points.c.value, expression), is_measured)
        case NumberComparison(column):
            return time_condition(_TIMES[column.key], expression)
        case TextComparison(Column(Entity.ATTRIBUTE, key)):
            return text_condition(_TEXTS[key], expression, dialect)
        case TextComparison(column):
            table = _KEYED[column.entity]
            return _has(table, table.c.key == column.key, text_condition(table.c.value, expression, dialect))
        case Membership(Column(Entity.ATTRIBUTE, key), values, is_negated):
            return _is_among(_TEXTS[key], values, is_negated)
        case Membership(column, values, is_negated):
            table = _KEYED[column.entity]
            return _has(table, table.c.key == column.key, _is_among(table.c.value, values, is_negated))
        case Presence(column, is_present):
            table = _KEYED[column.entity]
            has_key = _has(table, table.c.key == column.key)
            return has_key if is_present else not_(has_key)
        case _ as unreachable:
            assert_never(unreachable)


def _has(table: Table, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(table.c.model_id == logged_models.c.model_id, *conditions).correlate(logged_models)


def _is_among(column: ColumnElement[str], values: Sequence[str], is_negated: bool) -> ColumnElement[bool]:
    return column.not_in(values) if is_negated else column.in_(values)


def _is_on(dataset: Dataset) -> ColumnElement[bool]:
    is_named = logged_model_metrics.c.dataset_name == dataset.name if dataset.name else true()
    return and_(is_named, logged_model_metrics.c.dataset_digest == dataset.digest if dataset.digest else true())


def _ordering(order_by: Sequence[ModelOrder]) -> tuple[FromClause, list[ColumnElement[Any]]]:
    """Return the models joined with the metrics they are sorted by, and the ORDER BY."""
    if len(order_by) > MAX_ORDER_TERMS:
        raise Invalid(f"order_by has {len(order_by)} terms; at most {MAX_ORDER_TERMS} are allowed")
    source, order, names = PLACED_MODELS, [], set()
    for term in order_by:
        entity, dot, key = term.field_name.partition(".")
        name = _OTHER_NAMES.get(term.field_name, term.field_name)
        value: ColumnElement[Any]
        if dot and entity == "metrics":
            latest = _latest_points(key, term.dataset)
            source = source.outerjoin(latest, latest.c.model_id == logged_models.c.model_id)
            value = latest.c.value
        elif name in _TEXTS or name in _TIMES:
            value = _TEXTS[name] if name in _TEXTS else _TIMES[name]
            names.add(name)
        else:
            expected = ", ".join((*_TEXTS, *_TIMES, *_OTHER_NAMES))
            raise Invalid(
                f"Invalid order by field name: {term.field_name[:300]!r}. Expected metrics.<key> or one of {expected}"
            )
        order += [case((value.is_(null()), 1), else_=0), value.asc() if term.is_ascending else value.desc()]
    if "creation_timestamp_ms" not in names:
        order.append(logged_models.c.created_us.desc())
    return source, [*order, logged_models.c.model_id.asc()]


def _latest_points(key: str, dataset: Dataset) -> Subquery:
    columns = logged_model_metrics.c
    place = func.row_number().over(
        partition_by=columns.model_id, order_by=[columns.time_us.desc(), columns.step.desc(), columns.run_id.asc()]
    )
    ranked = (
        select(columns.model_id, columns.value, place.label("place"))
        .where(columns.key == key, _is_on(dataset))
        .subquery()
    )
    return select(ranked.c.model_id, ranked.c.value).where(ranked.c.place == 1).subquery()
