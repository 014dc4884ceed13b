"""Rows of reflected tables: those with some value in a column, and pairs of two columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, RowMapping, Select, Table, select

_IDS_PER_QUERY = 500


def rows_of(
    connection: Connection,
    wanted: Select[tuple[object, ...]] | Table | None,
    column: str = "",
    ids: Iterable[object] = (),
) -> Sequence[RowMapping]:
    """Return the rows of a query, or those of a table whose `column` is one of `ids`; none of a table that is None,
    which older versions of MLflow did not have."""
    if wanted is None:
        return []
    if not isinstance(wanted, Table):
        return connection.execute(wanted).mappings().all()
    ids = list(ids)
    return [
        row
        for first in range(0, len(ids), _IDS_PER_QUERY)
        for row in connection.execute(
            select(wanted)
            .where(wanted.c[column].in_(ids[first : first + _IDS_PER_QUERY]))
            .order_by(*wanted.primary_key.columns)
        ).mappings()
    ]


def grouped(
    connection: Connection, table: Table | None, column: str, ids: Iterable[object]
) -> dict[object, list[RowMapping]]:
    """Return the rows of a table by the value in `column`, which is one of `ids`."""
    found = defaultdict[object, list[RowMapping]](list)
    for row in rows_of(connection, table, column, ids):
        found[row[column]].append(row)
    return found


def pairs(rows: Iterable[RowMapping], key: str, value: str) -> dict[str, str]:
    """Return two columns as a dict; NULL is the empty text."""
    return {row[key]: row[value] or "" for row in rows}
