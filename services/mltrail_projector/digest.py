"""Digests of a read model: equal for equal content, whatever the batches, chunks or database it came from.

Every table gives one SHA-256 over its rows in the order of their primary keys. Where rows depend on how the projector
batched (metric blocks, producers' records), the digest covers the logical series instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from sqlalchemy import Connection, Table, select

from mltrail_core.metric_block import MetricBlock, block_of_bytes, concatenate
from mltrail_core.readmodel import tables
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
    if table is tables.producer_records:
        return _identities(connection)
    return _rows(connection, table)


def _rows(connection: Connection, table: Table) -> Iterator[bytes]:
    left_out = _NOT_CONTENT.get(table.name, set())
    columns = [column for column in table.columns if column.name not in left_out]
    for row in _stream(connection, table, columns):
        yield repr(tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)).encode()


def _series(connection: Connection) -> Iterator[bytes]:
    """Give every run's points sorted by key, step, time and value: no trace of blocks is left."""
    table = tables.metric_blocks
    rows = _stream(connection, table, [table.c.run_id, table.c.block])
    for run_id, blocks in groupby(rows, key=lambda row: row[0]):
        yield str(run_id).encode()
        yield from _sorted_series(concatenate(block_of_bytes(bytes(packed)) for _, packed in blocks))


def _sorted_series(block: MetricBlock) -> Iterator[bytes]:
    order = np.lexsort((block.values.view("<i8"), block.times_us, block.steps, block.key_indices))
    key_indices = block.key_indices[order]
    columns = (block.steps[order], block.times_us[order], block.values[order])
    for key, number in sorted((key, number) for number, key in enumerate(block.keys)):
        start, end = np.searchsorted(key_indices, [number, number + 1])
        if start < end:
            yield key.encode()
            for column in columns:
                yield column[start:end].tobytes()


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
