"""Digests of a read model: equal for equal content, whatever the batches, chunks or database it came from.

Every table gives one SHA-256 over its rows in the order of their primary keys. Where rows depend on how the projector
batched or on what was compacted (metric blocks and chunks, producers' records), the digest covers the logical series
instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np
from sqlalchemy import Connection, Table, func, select

from mltrail_core.readmodel import tables
from mltrail_core.series import COMPACTION_LOCK, logged_points
from mltrail_projector.marks import IDENTITY_BYTES

_NOT_CONTENT = {tables.positions.name: {"halted"}}
_FETCH_ROWS = 2000


@dataclass(frozen=True, slots=True)
class Digest:
    """The digest of each table, in hex, and one over them all."""

    tables: dict[str, str]

    @property
    def whole(self) -> str:
        """The digest of all tables."""
        return hashlib.sha256(
            "\n".join(f"{name} {hexed}" for name, hexed in sorted(self.tables.items())).encode()
        ).hexdigest()

    def differing(self, other: Digest) -> list[str]:
        """Return the names of the tables whose content differs."""
        return sorted(name for name in self.tables if self.tables[name] != other.tables.get(name))


def digest_read_model(connection: Connection) -> Digest:
    """Return the digest of the generation that `connection` sees; reads all of it."""
    digests = {}
    for table in tables.METADATA.sorted_tables:
        hashed = hashlib.sha256()
        for part in _parts(connection, table):
            hashed.update(part)
        digests[table.name] = hashed.hexdigest()
    return Digest(digests)


def _parts(connection: Connection, table: Table) -> Iterator[bytes]:
    if table is tables.metric_blocks:
        return _series(connection)
    if table in (tables.metric_chunks, tables.compaction_calls):
        return iter(())  # how the points lie is no content
    if table is tables.producer_records:
        return _identities(connection)
    return _rows(connection, table)


def _rows(connection: Connection, table: Table) -> Iterator[bytes]:
    left_out = _NOT_CONTENT.get(table.name, set())
    columns = [column for column in table.columns if column.name not in left_out]
    for row in _stream(connection, table, columns):
        yield repr(tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)).encode()


def _series(connection: Connection) -> Iterator[bytes]:
    """Give every run's points by key, step, time and value: no trace of blocks and chunks is left."""
    _hold_compaction(connection)
    runs = select(tables.metric_blocks.c.run_id).distinct().order_by(tables.metric_blocks.c.run_id)
    for run_id in connection.execute(runs.execution_options(yield_per=_FETCH_ROWS)).scalars():
        yield str(run_id).encode()
        for key, parts in groupby(logged_points(connection, run_id), key=itemgetter(0)):
            yield key.encode()
            for _, points in parts:
                rows = np.empty((len(points), 3), dtype="<i8")
                rows[:, 0], rows[:, 1], rows[:, 2] = points.steps, points.times_us, points.values.view("<i8")
                yield rows.tobytes()


def _hold_compaction(connection: Connection) -> None:
    """Let no compaction commit until this transaction ends: it sees what was committed between two of its queries.

    SQLite's transactions see one snapshot.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(COMPACTION_LOCK)))


def _identities(connection: Connection) -> Iterator[bytes]:
    table = tables.producer_records
    columns = [table.c.producer, table.c.partition, table.c.first_sequence, table.c.identities]
    for producer, partition, first, identities in _stream(connection, table, columns):
        for offset in range(0, len(identities), IDENTITY_BYTES):
            sequence = first + offset // IDENTITY_BYTES
            yield f"{producer} {partition} {sequence} ".encode() + bytes(identities[offset : offset + IDENTITY_BYTES])


def _stream(connection: Connection, table: Table, columns: list) -> Iterator[tuple]:  # type: ignore[type-arg]
    query = select(*columns).order_by(*table.primary_key)
    result = connection.execute(query.execution_options(yield_per=_FETCH_ROWS))
    yield from result
