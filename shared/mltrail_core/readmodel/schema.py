"""Which tables a generation was made with: code with other tables rebuilds it from the log instead of migrating it."""

from __future__ import annotations

import functools
import hashlib

from sqlalchemy import Connection, insert, inspect, select
from sqlalchemy.schema import CreateIndex, CreateTable

from mltrail_core.readmodel.tables import METADATA, generation


@functools.cache
def schema_hash() -> str:
    """Return a hash (hex) of every table and index as this code defines them."""
    statements = [
        str(statement)
        for table in METADATA.sorted_tables
        for statement in (CreateTable(table), *(CreateIndex(index) for index in sorted(table.indexes, key=str)))
    ]
    return hashlib.sha256("\n".join(statements).encode()).hexdigest()


def write_schema_hash(connection: Connection) -> None:
    """Say that the tables of `connection`'s generation are those of this code."""
    connection.execute(insert(generation).values(schema_hash=schema_hash()))


def fits_this_code(connection: Connection, schema: str | None) -> bool:
    """Return whether the generation that `connection` sees, in this database schema, has the tables of this code."""
    if not inspect(connection).has_table(generation.name, schema=schema):
        return False
    return connection.execute(select(generation.c.schema_hash)).scalars().first() == schema_hash()
