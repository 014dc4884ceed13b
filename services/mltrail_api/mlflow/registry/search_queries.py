"""Which registered models and versions match a filter, in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from sqlalchemy import ColumnElement, Connection, Table, and_, exists, func, select, true

from mltrail_api.search.conditions import number_condition, text_condition
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
)
from mltrail_core.readmodel.tables import model_version_tags, model_versions, registered_model_tags, registered_models

_IS_PROMPT = Column(Entity.TAG, "mlflow.prompt.is_prompt")
_MODEL_COLUMNS: Mapping[str, ColumnElement[Any]] = {
    "name": registered_models.c.name,
    "last_updated_timestamp": registered_models.c.updated_us,
}
_VERSION_COLUMNS: Mapping[str, ColumnElement[Any]] = {
    "name": model_versions.c.name,
    "version_number": model_versions.c.version,
    "run_id": func.coalesce(model_versions.c.run_id, ""),  # stock keeps an empty text where there is no run
    "source_path": model_versions.c.source,
    "creation_timestamp": model_versions.c.created_us,
    "last_updated_timestamp": model_versions.c.updated_us,
}


def search_model_names(
    connection: Connection, wanted: And, order: Sequence[OrderTerm], offset: int, limit: int
) -> list[str]:
    """Return the names of registered models that match, sorted as asked, then by name."""
    query = (
        select(registered_models.c.name)
        .where(_condition(connection, wanted, registered_models, registered_model_tags, _MODEL_COLUMNS))
        .order_by(*_ordering(order, _MODEL_COLUMNS), registered_models.c.name)
    )
    return list(connection.execute(query.offset(offset).limit(limit)).scalars())


def search_version_keys(
    connection: Connection, wanted: And, order: Sequence[OrderTerm], offset: int, limit: int
) -> list[tuple[str, int]]:
    """Return name and number of model versions that match, sorted as asked, then by name and falling number."""
    query = (
        select(model_versions.c.name, model_versions.c.version)
        .where(_condition(connection, wanted, model_versions, model_version_tags, _VERSION_COLUMNS))
        .order_by(*_ordering(order, _VERSION_COLUMNS), model_versions.c.name, model_versions.c.version.desc())
    )
    return [(row.name, row.version) for row in connection.execute(query.offset(offset).limit(limit))]


def _condition(
    connection: Connection,
    expression: Expression,
    table: Table,
    tags: Table,
    columns: Mapping[str, ColumnElement[Any]],
) -> ColumnElement[bool]:
    dialect = connection.dialect.name
    match expression:
        case And(parts):
            return and_(true(), *(_condition(connection, part, table, tags, columns) for part in parts))
        case TextComparison(column, comparator, value) if column == _IS_PROMPT and not _asks_for_prompts(
            comparator, value
        ):
            return true()  # the client asks so for what is no prompt, and nothing here is one
        case TextComparison(Column(Entity.TAG, key)):
            same_subject = [tags.c[column.name] == column for column in table.primary_key]
            has_value = text_condition(tags.c.value, expression, dialect)
            return exists().where(*same_subject, tags.c.key == key, has_value).correlate(table)
        case TextComparison(column):
            return text_condition(columns[column.key], expression, dialect)
        case NumberComparison(column):
            return number_condition(columns[column.key], expression)
        case Membership(column, values, is_negated):
            found = columns[column.key]
            return found.not_in(values) if is_negated else found.in_(values)
        case Presence():
            raise AssertionError("the parser lets no IS NULL through for the registry")
        case _ as unreachable:
            assert_never(unreachable)


def _asks_for_prompts(comparator: Comparator, value: str) -> bool:
    says = {Comparator.EQUAL: "true", Comparator.NOT_EQUAL: "false"}
    return says.get(comparator) == value.lower()


def _ordering(terms: Sequence[OrderTerm], columns: Mapping[str, ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    found = [(columns[term.column.key], term.is_ascending) for term in terms]
    return [column.asc() if is_ascending else column.desc() for column, is_ascending in found]
