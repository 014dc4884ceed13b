"""The rows that one transaction looks at and changes: read once, changed in memory, written in sets at the end.

The fold sees nothing of the read model but this, so its decisions depend on rows alone. Without a connection it starts
from nothing, which is how golden decisions are tested.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Delete, Insert, Select, Table, and_, bindparam, delete, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from mltrail_core.readmodel.pipelining import pipelined
from mltrail_projector.memory import REMEMBERED_ROWS, REMEMBERED_SETS, Memory
from mltrail_projector.row_sets import add_absent, read_set, write_set

Value = str | int | float | bool | bytes | None
Row = Mapping[str, Value]
Key = tuple[Value, ...]

_LOOKUP_ROWS = 400
"""Rows asked for in one SELECT: SQLite takes 32,766 variables, PostgreSQL plans short lists faster."""


class Rows:
    """The working set of one transaction, table by table and primary key by primary key."""

    def __init__(self, connection: Connection | None, memory: Memory | None = None) -> None:
        self._connection = connection
        self._memory = Memory() if memory is None else memory
        self._known: dict[Table, dict[Key, Row | None]] = defaultdict(dict)
        self._changed: dict[Table, set[Key]] = defaultdict(set)
        self._sets: dict[Table, Sequence[Key]] = {}

    def get(self, table: Table, *key: Value) -> Row | None:
        """Return the row with this primary key as the transaction would leave it, or None."""
        known = self._known[table]
        if key not in known:
            self.prefetch(table, [key])
        return known[key]

    def put(self, table: Table, row: Row) -> None:
        """Insert the row, or replace the one that has its primary key."""
        key = tuple(row[name] for name in _key_names(table))
        self._known[table][key] = row
        self._changed[table].add(key)

    def update(self, table: Table, row: Row, **values: Value) -> None:
        """Replace a row by itself with some values changed."""
        self.put(table, {**row, **values})

    def delete(self, table: Table, *key: Value) -> None:
        """Remove the row with this primary key, if there is one."""
        self._known[table][key] = None
        self._changed[table].add(key)

    def prefetch(self, table: Table, keys: Iterable[Key]) -> None:
        """Read the rows with these primary keys in few queries, so that `get` finds them at hand."""
        known = self._known[table]
        unknown = list({key for key in keys if key not in known})
        if table in REMEMBERED_ROWS:
            remembered = self._memory.rows(table)
            known.update((key, remembered[key]) for key in unknown if key in remembered)
            unknown = [key for key in unknown if key not in known]
        for key in unknown:
            known[key] = None
        if self._connection is None:
            return
        names = _key_names(table)
        for some in _in_groups(unknown, _LOOKUP_ROWS):
            sought: list[object] = [key[0] if len(names) == 1 else key for key in some]
            for found in self._connection.execute(_lookup(table), {"keys": sought}).mappings():
                row = dict(found)
                known[tuple(row[name] for name in names)] = row

    def read_set(self, table: Table, keys: Sequence[Key]) -> list[Key]:
        """Return the rows with these primary keys as tuples of all columns, in no order; they are not kept at hand.

        For a table that no handler looks at: it sees nothing of `put` but without a connection.
        """
        if self._connection is not None:
            remembered = self._memory.rows(table)
            unknown = [key for key in keys if key not in remembered]
            at_hand = [remembered[key] for key in keys if key in remembered]
            return at_hand + read_set(self._connection, table, unknown) if unknown else at_hand
        found = (self.get(table, *key) for key in keys)
        return [tuple(row[column.name] for column in table.columns) for row in found if row is not None]

    def put_set(self, table: Table, rows: Sequence[Key]) -> None:
        """Insert or replace these rows, tuples of all columns: the only change of that table in this transaction."""
        if self._connection is not None:
            assert table not in self._sets, f"a second set of {table.name} would replace the first"
            self._sets[table] = rows
            return
        names = [column.name for column in table.columns]
        for row in rows:
            self.put(table, dict(zip(names, row, strict=True)))

    def add_absent(self, table: Table, rows: Sequence[Key]) -> None:
        """Insert those of these rows, tuples of all columns, whose primary key is not there; in a table that no
        handler looks at."""
        if self._connection is not None:
            add_absent(self._connection, table, rows)
            return
        names = [column.name for column in table.columns]
        for row in rows:
            self.put(table, dict(zip(names, row, strict=True)))

    def select(self, table: Table, **values: Value) -> list[Row]:
        """Return all rows whose columns have these values, as the transaction would leave them, in no order."""
        if self._connection is not None:
            condition = and_(*_equal(table, values))
            known = self._known[table]
            for found in self._connection.execute(select(table).where(condition)).mappings():
                key = tuple(found[column.name] for column in table.primary_key)
                known.setdefault(key, dict(found))
        rows = [row for row in self._known[table].values() if row is not None]
        return [row for row in rows if all(row[name] == value for name, value in values.items())]

    def between(self, table: Table, column: str, low: str, high: str, **values: Value) -> list[Row]:
        """Return the rows with these values whose `column` is at least `low` and below `high`, byte by byte."""
        known = self._known[table]
        if self._connection is not None:
            condition = and_(table.c[column] >= low, table.c[column] < high, *_equal(table, values))
            for found in self._connection.execute(select(table).where(condition)).mappings():
                known.setdefault(tuple(found[part.name] for part in table.primary_key), dict(found))
        matching = (row for row in known.values() if row is not None and low <= str(row[column]) < high)
        return [row for row in matching if all(row[name] == value for name, value in values.items())]

    def last_at_most(self, table: Table, column: str, number: int, **values: Value) -> Row | None:
        """Return the row with these values and the greatest `column` up to `number`, before this transaction."""
        if self._connection is None:
            return None
        query = select(table).where(table.c[column] <= number, *_equal(table, values))
        found = self._connection.execute(query.order_by(table.c[column].desc()).limit(1)).mappings().first()
        return None if found is None else dict(found)

    def writing(self) -> contextlib.AbstractContextManager[None]:
        """Give a block in which nothing is looked up any more, only written, all of it in one round trip."""
        return contextlib.nullcontext() if self._connection is None else pipelined(self._connection)

    def flush(self) -> None:
        """Write all changes, each table's in one statement for removals and one for the rest."""
        if self._connection is None:
            return
        for table, keys in self._changed.items():
            known = self._known[table]
            gone = [key for key in keys if known[key] is None]
            kept = [row for key in keys if (row := known[key]) is not None]
            if gone:
                removals = [{f"key_{n}": value for n, value in enumerate(key)} for key in gone]
                self._connection.execute(_removal(table), removals)
            if kept:
                upsert = _upsert(table, self._connection.dialect.name)
                self._connection.execute(upsert, [dict(row) for row in kept])
        self._changed.clear()
        for table, rows in self._sets.items():
            write_set(self._connection, table, rows)

    def committed(self) -> None:
        """Remember what the transaction, which has committed, read and wrote."""
        for table in REMEMBERED_ROWS:
            self._memory.remember(table, self._known[table])
        for table in REMEMBERED_SETS & set(self._sets):
            width = len(_key_names(table))
            self._memory.remember(table, {row[:width]: row for row in self._sets[table]})

    def changes(self) -> Iterator[tuple[Table, Row | None]]:
        """Give every change that `flush` would write, as (table, row or None): what golden decisions are made of."""
        for table, keys in self._changed.items():
            for key in sorted(keys, key=repr):
                yield table, self._known[table][key]


# Statements are made once for each table: making one costs several times what SQLite needs to perform it, and a
# transaction of a single record, which somebody waits for, performs a dozen.


@cache
def _key_names(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.primary_key)


@cache
def _lookup(table: Table) -> Select[Any]:  # of whatever columns the table has
    columns = list(table.primary_key)
    subject = columns[0] if len(columns) == 1 else tuple_(*columns)
    return select(table).where(subject.in_(bindparam("keys", expanding=True)))


@cache
def _removal(table: Table) -> Delete:
    return delete(table).where(and_(*(column == bindparam(f"key_{n}") for n, column in enumerate(table.primary_key))))


@cache
def _upsert(table: Table, dialect_name: str) -> Insert:
    statement = postgresql.insert(table) if dialect_name == "postgresql" else sqlite.insert(table)
    others = [column.name for column in table.columns if not column.primary_key]
    if not others:
        return statement.on_conflict_do_nothing()
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={name: statement.excluded[name] for name in others}
    )


def _equal(table: Table, values: Mapping[str, Value]) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in values.items()]


def _in_groups(keys: list[Key], size: int) -> Iterator[list[Key]]:
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
