"""What a native filter says, as SQL that gives the same answer on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, assert_never

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Function,
    Table,
    and_,
    false,
    func,
    not_,
    or_,
    select,
    true,
    type_coerce,
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
    TextComparison,
)
from mltrail_api.search.native.automaton import matcher_of
from mltrail_api.search.native.expression import (
    All,
    AnyOf,
    Leaf,
    Matching,
    NativeExpression,
    Not,
    NotANumber,
    NumberMembership,
    Unlike,
)
from mltrail_api.search.native.pattern import Pattern
from mltrail_api.search.native.pattern_text import postgres_text
from mltrail_api.search.native.time_limit import TimeLimit
from mltrail_api.search.placement import MLFLOW_STATUS, SHOWN_STATUS
from mltrail_api.search.run_conditions import (
    KEYED,
    MAY_BE_NULL,
    NUMBER_ATTRIBUTES,
    TEXT_ATTRIBUTES,
    RowTest,
    RunCondition,
    any_of,
    dataset_text,
    has,
    none_of,
    run_condition,
    together,
)
from mltrail_core.readmodel.tables import (
    dataset_inputs,
    logged_models,
    lost_runs,
    metric_summaries,
    model_inputs,
    model_outputs,
)
from mltrail_core.rules import LOST_STATUS

_COUNTED_RUNS = 5_000
"""Of each condition under an OR; past it they are all the same."""
_MATCH_FUNCTION = "mltrail_matches"
_MLFLOW_TEXTS = ("run_id", "run_name", "user_id", "status", "artifact_uri")
_Test = Callable[[ColumnElement[Any]], ColumnElement[bool]]


def native_conditions(
    connection: Connection, expression: NativeExpression, limit: TimeLimit | None = None
) -> list[RunCondition]:
    """Return conditions that together are a filter, and which `connection` can then execute; each is true or false of
    every run, never NULL. Regular expressions fail when `limit` is over."""
    if connection.dialect.name == "sqlite":
        _let_match(connection, limit)
    return [_condition(part, connection) for part in _joined(expression)]


def _let_match(connection: Connection, limit: TimeLimit | None) -> None:
    def is_matched(pattern: str, text: str | None) -> bool:
        if text is None:
            return False
        return matcher_of(pattern).holds(text) if limit is None else matcher_of(pattern).holds(text, limit.check)

    raw = connection.connection.driver_connection
    assert raw is not None
    raw.create_function(_MATCH_FUNCTION, 2, is_matched, deterministic=True)


def _joined(expression: NativeExpression) -> list[NativeExpression]:
    """Return the parts that AND joins."""
    if isinstance(expression, All):
        return [leaf for part in expression.parts for leaf in _joined(part)]
    return [expression]


def _condition(expression: NativeExpression, connection: Connection) -> RunCondition:
    match expression:
        case All(parts):
            return _all_of([_condition(part, connection) for part in parts], connection)
        case AnyOf(parts):
            return any_of([_condition(part, connection) for part in parts])
        case Not(part):
            return none_of(_condition(part, connection))
        case TextComparison(Column(Entity.ATTRIBUTE, "status"), Comparator.EQUAL, value) if value == LOST_STATUS:
            return RunCondition(SHOWN_STATUS == LOST_STATUS, select(lost_runs.c.run_id))
        case TextComparison() | NumberComparison() | Membership() | Presence() if _is_of_mlflow(expression):
            return run_condition(expression, connection.dialect.name)
        case _:
            return _leaf(expression, connection.dialect.name)


def _all_of(conditions: Sequence[RunCondition], connection: Connection) -> RunCondition:
    """Return what holds where all do; it is looked for among the fewest runs that one of them may hold for."""
    conditions = together(conditions)
    candidates = [condition.candidates for condition in conditions if condition.candidates is not None]
    fewest = candidates[0] if candidates else None
    if len(candidates) > 1:
        some = (each.limit(_COUNTED_RUNS).subquery() for each in candidates)
        counts = connection.execute(
            select(*(select(func.count()).select_from(each).scalar_subquery() for each in some))
        )
        counted = counts.one()
        fewest = candidates[min(range(len(candidates)), key=counted.__getitem__)]
    return RunCondition(and_(true(), *(condition.holds for condition in conditions)), fewest)


def _is_of_mlflow(comparison: Comparison) -> bool:
    """Return whether `run_condition` knows the comparison."""
    column = comparison.column
    match column.entity, comparison:
        case Entity.METRIC, _:
            return not column.summary.is_whole or isinstance(comparison, Presence)
        case Entity.MODEL, _:
            return False
        case Entity.DATASET, _:
            return not isinstance(comparison, Presence)
        case Entity.ATTRIBUTE, Membership():
            return column.key != "status" and column.key in _MLFLOW_TEXTS
        case Entity.ATTRIBUTE, TextComparison():
            return column.key in _MLFLOW_TEXTS
        case Entity.ATTRIBUTE, _:
            return column.key in ("start_time", "end_time") and isinstance(comparison, NumberComparison)
    return True


def _leaf(leaf: Leaf, dialect: str) -> RunCondition:
    """Return what MLflow has no word for as SQL."""
    match leaf:
        case NumberComparison(column):
            return _holds(column, lambda number: _number_condition(number, leaf), dialect)
        case TextComparison(column):
            return _holds(column, lambda text: text_condition(text, leaf, dialect), dialect)
        case Matching(column, pattern, is_negated):
            return _holds(column, lambda text: _matches(text, pattern, is_negated, dialect), dialect, LOST_STATUS)
        case Unlike(column, like, folds_case):
            comparison = TextComparison(column, Comparator.ILIKE if folds_case else Comparator.LIKE, like)
            return _holds(column, lambda text: not_(text_condition(text, comparison, dialect)), dialect, like)
        case Membership(Column(Entity.ATTRIBUTE, "status") as column, values, is_negated):
            among = or_(_holds(column, lambda text: text.in_(values), dialect).holds, _lost_is_among(values))
            return RunCondition(not_(among) if is_negated else among)
        case Membership(column, values, is_negated):
            return _holds(column, lambda text: text.not_in(values) if is_negated else text.in_(values), dialect)
        case NumberMembership(column, numbers, is_negated):
            return _holds(column, lambda number: _is_among(number, numbers, is_negated), dialect)
        case NotANumber(column, is_nan):
            return _holds(column, lambda number: number.is_(None) if is_nan else number.is_not(None), dialect)
        case Presence(column, is_present):
            is_there = _holds(column, lambda value: value.is_not(None), dialect)
            return is_there if is_present else none_of(is_there)
        case _ as unreachable:
            assert_never(unreachable)


def _holds(column: Column, test: _Test, dialect: str, status: str = "") -> RunCondition:
    """Return whether the run has a value in `column` that passes `test`. `status` is what a status is compared with:
    only who asks for lost runs is told of them, as in MLflow's search."""
    match column:
        case Column(Entity.METRIC, _, summary):
            # As a float, or PostgreSQL would round what a whole number of steps is compared with.
            number: ColumnElement[Any] = type_coerce(metric_summaries.c[summary.column_name], Double())
            return RowTest(column, test(number), true()).condition(False)
        case Column(Entity.PARAM | Entity.TAG as entity):
            tested = test(KEYED[entity].c.value)
            # SQLite's index holds whole values, so that it alone tells; PostgreSQL's holds how they begin.
            return RowTest(column, tested, tested if dialect == "sqlite" else true()).condition(False)
        case Column(Entity.DATASET, key):
            text = dataset_text(key, dialect)
            return RunCondition(has(dataset_inputs, text.is_not(None), test(text)))
        case Column(Entity.MODEL, key):
            return RunCondition(_of_models(key, test))
        case Column(Entity.ATTRIBUTE, "status"):
            return RunCondition(test(SHOWN_STATUS if status.upper() == LOST_STATUS else MLFLOW_STATUS))
        case Column(Entity.ATTRIBUTE, key):
            value: ColumnElement[Any] = NUMBER_ATTRIBUTES[key] if key in NUMBER_ATTRIBUTES else TEXT_ATTRIBUTES[key]
            return RunCondition(and_(value.is_not(None), test(value)) if key in MAY_BE_NULL else test(value))
        case _:
            raise AssertionError(f"the parser let {column} through")


def _of_models(key: str, test: _Test) -> ColumnElement[bool]:
    both: tuple[Table, ...] = (model_inputs, model_outputs)
    if key == "name":
        return or_(
            *(has(table, table.c.model_id == logged_models.c.model_id, test(logged_models.c.name)) for table in both)
        )
    asked = {"input": both[:1], "output": both[1:], "id": both}[key]
    return or_(*(has(table, test(table.c.model_id)) for table in asked))


def _number_condition(number: ColumnElement[Any], comparison: NumberComparison) -> ColumnElement[bool]:
    if comparison.column.entity is Entity.METRIC:
        return number_condition(number, comparison)
    return time_condition(number, comparison)


def _is_among(number: ColumnElement[Any], values: Sequence[float], is_negated: bool) -> ColumnElement[bool]:
    return or_(number.not_in(values), number.is_(None)) if is_negated else number.in_(values)


def _lost_is_among(values: Sequence[str]) -> ColumnElement[bool]:
    return SHOWN_STATUS == LOST_STATUS if any(value.upper() == LOST_STATUS for value in values) else false()


def _matches(text: ColumnElement[Any], pattern: Pattern, is_negated: bool, dialect: str) -> ColumnElement[bool]:
    if dialect == "sqlite":
        is_match: ColumnElement[bool] = Function(_MATCH_FUNCTION, pattern.text, text) == 1
    else:
        is_match = text.op("~", is_comparison=True)(postgres_text(pattern))
    return not_(is_match) if is_negated else is_match
