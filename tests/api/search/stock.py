"""What the stock MLflow server on a SQL store makes of a filter or order string, by its own functions."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from functools import cache
from types import ModuleType

import mlflow
import sqlalchemy.orm

from mltrail_api.search.expression import And, Expression, Membership, OrderTerm, Presence
from mltrail_core.errors import Invalid

REFUSED = "refused"
Clause = tuple[str, str, str, object]
"""Type, key, comparator and value of a comparison, in MLflow's words."""


@cache
def _store() -> ModuleType:
    # By name, since it has no types; and its use of SQLAlchemy is deprecated in the newest release.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module("mlflow.store.tracking.sqlalchemy_store")


@cache
def search_utils() -> ModuleType:
    """Return MLflow's own parser and its search among objects."""
    return importlib.import_module("mlflow.utils.search_utils")


def stock_run_filter(text: str) -> list[Clause] | str:
    """Return the clauses of a runs/search filter as the stock server reads it, or `REFUSED` (also for its 5xx)."""
    try:
        parsed = search_utils().SearchUtils.parse_search_filter(text)
        with sqlalchemy.orm.Session() as session:
            _store()._get_sqlalchemy_filter_clauses(parsed, session, "sqlite")
    except (mlflow.MlflowException, sqlalchemy.exc.ArgumentError):
        return REFUSED
    return _clauses(parsed)


def stock_experiment_filter(text: str) -> list[Clause] | str:
    """Return the clauses of an experiments/search filter as the stock server reads it, or `REFUSED`."""
    try:
        parsed = search_utils().SearchExperimentsUtils.parse_search_filter(text)
        _store()._get_search_experiments_filter_clauses(parsed, "sqlite")
    except (mlflow.MlflowException, sqlalchemy.exc.ArgumentError):
        return REFUSED
    return _clauses(parsed)


def stock_run_order(text: str) -> tuple[str, str, bool] | str:
    """Return type, key and direction of a runs/search order_by clause as the stock server reads it, or `REFUSED`."""
    try:
        with sqlalchemy.orm.Session() as session:
            _store()._get_orderby_clauses([text], session)
    except mlflow.MlflowException:
        return REFUSED
    entity, key, is_ascending = search_utils().SearchUtils.parse_order_by_for_search_runs(text)
    return entity, search_utils().SearchUtils.translate_key_alias(key), is_ascending


def stock_experiment_order(text: str) -> tuple[str, str, bool] | str:
    """Return the same for an order_by clause of experiments/search."""
    try:
        _store()._get_search_experiments_order_by_clauses([text])
    except mlflow.MlflowException:
        return REFUSED
    entity, key, is_ascending = search_utils().SearchExperimentsUtils.parse_order_by_for_search_experiments(text)
    return entity, key, is_ascending


def our_filter(parse: Callable[[str], And], text: str) -> list[Clause] | str:
    """Return what our parser makes of a filter, in the form of the functions above."""
    try:
        return [_our_clause(part) for part in parse(text).parts]
    except Invalid:
        return REFUSED


def our_order(parse: Callable[[list[str]], tuple[OrderTerm, ...]], text: str) -> tuple[str, str, bool] | str:
    """Return what our parser makes of an order_by clause, in the form of the functions above."""
    try:
        (term,) = parse([text])
    except Invalid:
        return REFUSED
    return term.column.entity.value, term.column.key, term.is_ascending


def _clauses(parsed: list[dict[str, str]]) -> list[Clause] | str:
    clauses: list[Clause] = []
    for clause in parsed:
        value: object = clause["value"]
        comparator = clause["comparator"].upper()
        if isinstance(value, tuple) and comparator not in ("IN", "NOT IN"):
            return REFUSED  # the stock server parses it and then fails in SQL
        if clause["type"] == "metric":
            value = float(clause["value"])
        clauses.append(
            (clause["type"], search_utils().SearchUtils.translate_key_alias(clause["key"]), comparator, value)
        )
    return clauses


def _our_clause(part: Expression) -> Clause:
    match part:
        case And():
            raise AssertionError("MLflow's grammar does not nest")
        case Presence(column, is_present):
            return column.entity.value, column.key, "IS NOT NULL" if is_present else "IS NULL", None
        case Membership(column, values, is_negated):
            return column.entity.value, column.key, "NOT IN" if is_negated else "IN", values
        case _:
            return part.column.entity.value, part.column.key, part.comparator.value, part.value
