"""Many rows of one table in one statement, as tuples: what thousands of metric summaries a transaction need.

Rows as dicts of parameters cost several times what the database takes to read or write them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, Select, Table, and_, bindparam, column, func, select
from sqlalchemy.dialects import postgresql, sqlite

from mltrail_projector.packed_arrays import packed_column, take_packed_arrays

Cells = tuple[Any, ...]  # of whatever columns the table has


def read_set(connection: Connection, table: Table, keys: Sequence[Cells]) -> list[Cells]:
    """Return the rows that have one of these primary keys of several texts, in no order, as tuples of all columns."""
    if connection.dialect.name == "postgresql":
        take_packed_arrays(connection)
        given: dict[str, object] = {
            part.name: cells for part, cells in zip(table.primary_key, zip(*keys, strict=True), strict=True)
        }
    else:
        given = {"keys": json.dumps(keys)}
    return [tuple(row) for row in connection.execute(_lookup(table, connection.dialect.name), given)]


def write_set(connection: Connection, table: Table, rows: Sequence[Cells]) -> None:
    """Insert the rows, given as tuples of all columns, each in place of the one that has its primary key."""
    if connection.dialect.name == "postgresql":
        connection.execute(_upsert_of_columns(table), _columns(connection, table, rows))
    else:
        connection.exec_driver_sql(_upsert_of_rows(table), list(rows))


def add_absent(connection: Connection, table: Table, rows: Sequence[Cells]) -> None:
    """Insert those of the rows, given as tuples of all columns, whose primary key is not there."""
    if connection.dialect.name == "postgresql":
        connection.execute(_insert_of_absent_columns(table), _columns(connection, table, rows))
    else:
        connection.exec_driver_sql(_insert_of_absent_rows(table), list(rows))


def _columns(connection: Connection, table: Table, rows: Sequence[Cells]) -> dict[str, Cells]:
    take_packed_arrays(connection)
    return {part.name: cells for part, cells in zip(table.columns, zip(*rows, strict=True), strict=True)}


@cache
def _lookup(table: Table, dialect_name: str) -> Select[Any]:
    key = list(table.primary_key)
    if dialect_name == "postgresql":
        arrays = [bindparam(part.name, type_=packed_column(part.type)) for part in key]
        wanted = func.unnest(*arrays).table_valued(*(part.name for part in key), name="wanted").render_derived()
        return select(table).join(wanted, and_(*(part == wanted.c[part.name] for part in key)))
    sought = func.json_each(bindparam("keys")).table_valued(column("value"), name="wanted")
    places = [part == func.json_extract(sought.c.value, f"$[{number}]") for number, part in enumerate(key)]
    return select(table).join(sought, and_(*places))


@cache
def _insert_of_columns(table: Table) -> postgresql.Insert:
    arrays = [bindparam(part.name, type_=packed_column(part.type)) for part in table.columns]
    given = func.unnest(*arrays).table_valued(*(part.name for part in table.columns), name="given").render_derived()
    return postgresql.insert(table).from_select(list(table.columns), select(*given.c))


@cache
def _insert_of_absent_columns(table: Table) -> Insert:
    return _insert_of_columns(table).on_conflict_do_nothing()


@cache
def _upsert_of_columns(table: Table) -> Insert:
    statement = _insert_of_columns(table)
    others = [part.name for part in table.columns if not part.primary_key]
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={name: statement.excluded[name] for name in others}
    )


@cache
def _upsert_of_rows(table: Table) -> str:
    statement = sqlite.insert(table)
    others = [part.name for part in table.columns if not part.primary_key]
    upsert = statement.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={name: statement.excluded[name] for name in others}
    )
    return str(upsert.compile(dialect=sqlite.dialect(paramstyle="qmark")))


@cache
def _insert_of_absent_rows(table: Table) -> str:
    return str(sqlite.insert(table).on_conflict_do_nothing().compile(dialect=sqlite.dialect(paramstyle="qmark")))
