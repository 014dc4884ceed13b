"""Points that rest in blocks, as the projector wrote them: one row for each run and projection batch."""

from __future__ import annotations

from collections.abc import Iterable

import msgpack
import numpy as np
from sqlalchemy import Connection, select

from mltrail_core.metric_block import MetricBlock, block_of_bytes, concatenate
from mltrail_core.readmodel.tables import metric_blocks
from mltrail_core.series.series import Series, ordered

_FETCH_ROWS = 500


def read_loose(connection: Connection, run_id: str, key: str) -> Series:
    """Return the points of a run's metric that are in blocks."""
    steps: list[bytes] = []
    times_us: list[bytes] = []
    values: list[bytes] = []
    query = select(metric_blocks.c.block).where(metric_blocks.c.run_id == run_id)
    for packed in connection.execute(query.execution_options(yield_per=_FETCH_ROWS)).scalars():
        found, *columns = msgpack.unpackb(packed)
        if key not in found:
            continue
        if len(found) > 1:  # each block is cut to the key at once: a wide run's other keys would not fit in memory
            columns = columns_of(block_of_bytes(packed).of_key(key))
        # Blocks of one point are joined as bytes: 600,000 arrays of one number would take seconds.
        steps.append(columns[-3])
        times_us.append(columns[-2])
        values.append(columns[-1])
    return ordered(
        np.frombuffer(_joined(steps), dtype="<i8"),
        np.frombuffer(_joined(times_us), dtype="<i8"),
        np.frombuffer(_joined(values), dtype="<f8"),
    )


def _joined(parts: list[bytes]) -> bytes:
    """Return the parts as one, and let go of them before the next column is joined."""
    joined = b"".join(parts)
    parts.clear()
    return joined


def block_of_rows(packed: Iterable[bytes]) -> MetricBlock:
    """Return all points of the blocks, given as they rest, as one block."""
    parts: dict[tuple[str, ...], list[list[bytes]]] = {}
    for row in packed:
        keys, *columns = msgpack.unpackb(row)
        parts.setdefault(tuple(keys), []).append(columns)
    # Blocks of the same keys, such as those of one point each, are joined as bytes before they are arrays.
    joined = ((keys, [b"".join(column) for column in zip(*rows, strict=True)]) for keys, rows in parts.items())
    return concatenate(block_of_bytes(msgpack.packb([keys, *columns])) for keys, columns in joined)


def columns_of(block: MetricBlock) -> list[bytes]:
    """Return steps, times and values as little-endian bytes."""
    return [
        block.steps.astype("<i8", copy=False).tobytes(),
        block.times_us.astype("<i8", copy=False).tobytes(),
        block.values.astype("<f8", copy=False).tobytes(),
    ]
