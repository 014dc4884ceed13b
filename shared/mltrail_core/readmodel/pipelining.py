"""Statements that leave together: on PostgreSQL one round trip for a whole set instead of one for each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BinaryExpression,
    BindParameter,
    Boolean,
    Connection,
    Float,
    Integer,
    Select,
    String,
    Text,
    any_,
    bindparam,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.compiler import SQLCompiler

_COMPILED = 256
"""Statements kept: a dozen for each generation that is read."""
_AS_READ = (String, Integer, Float, Boolean)
Question = tuple[Select[Any], Mapping[str, Sequence[str]]]
"""A statement, and the texts of each of its `IN`, by the parameter's name."""


@contextlib.contextmanager
def pipelined(connection: Connection) -> Iterator[None]:
    """Send the statements of the block without waiting for their answers, which have all come when the block ends.

    For statements whose results nobody looks at: they have none yet inside the block. On SQLite this does nothing.

    Raises:
        DBAPIError: a statement failed; from inside the block when its answer has come by then, otherwise at the end.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    import psycopg

    driver: Any = connection.connection.driver_connection
    try:
        with driver.pipeline():
            yield
    except psycopg.Error as error:  # what SQLAlchemy did not see, so did not wrap
        raise DBAPIError.instance(
            None, None, error, psycopg.Error, connection_invalidated=driver.broken, dialect=connection.dialect
        ) from error


def answers(connection: Connection, questions: Sequence[Question]) -> list[Sequence[Sequence[Any]]]:
    """Return the rows of each of these statements, with these parameters, all asked before the first is answered.

    Args:
        connection: of the read model, in a transaction.
        questions: with statements that are made once, and whose columns need nothing done to them after the driver.

    Raises:
        DBAPIError: a statement failed.
    """
    if connection.dialect.name != "postgresql":
        return [connection.execute(statement, given).all() for statement, given in questions]
    schema = connection.get_execution_options()["schema_translate_map"][None]
    driver: Any = connection.connection.driver_connection
    cursors = []
    with pipelined(connection), contextlib.ExitStack() as stack:
        for statement, given in questions:
            compiled = _compiled(statement, schema)
            cursor = stack.enter_context(driver.cursor())
            lists = {name: list(texts) for name, texts in given.items()}  # a tuple would be a row of PostgreSQL
            cursor.execute(compiled.string, compiled.construct_params(lists))
            cursors.append(cursor)
        return [cursor.fetchall() for cursor in cursors]


@lru_cache(_COMPILED)
def _compiled(statement: Select[Any], schema: str) -> SQLCompiler:
    """Return a statement as psycopg takes it; `= ANY` of an array for `IN`, so its text is one for any number."""
    from sqlalchemy.dialects.postgresql.psycopg import dialect

    for column in statement.selected_columns:
        assert isinstance(column.type, _AS_READ), f"SQLAlchemy may change what the driver reads of {column}"
    with_arrays: Any = visitors.replacement_traverse(statement, {}, _any_for_in)
    spoken: Any = dialect()  # type: ignore[no-untyped-call]
    compiled: SQLCompiler = with_arrays.compile(
        dialect=spoken, schema_translate_map={None: schema}, render_schema_translate=True
    )
    return compiled


def _any_for_in(element: Any, **_: object) -> Any:
    if isinstance(element, BinaryExpression) and element.operator is operators.in_op:
        listed = element.right
        if isinstance(listed, BindParameter) and listed.expanding:
            return element.left == any_(bindparam(listed.key, type_=ARRAY(Text)))
    return None
