"""Points that rest in blocks, as the projector wrote them: one row for each run and projection batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set

import numpy as np
from sqlalchemy import Connection, select

from mltrail_core.metric_block import MetricBlock, block_of_columns, columns_of_bytes, concatenate
from mltrail_core.readmodel.tables import metric_blocks
from mltrail_core.series.series import Series, ordered

_FETCH_ROWS = 500
_SEARCHED_KEYS = 8
"""For more keys sorting a block is cheaper than looking through it for each."""


def read_loose(connection: Connection, run_id: str, keys: Sequence[str]) -> dict[str, Series]:
    """Return the points of each of these metrics of a run that are in blocks, from one pass over the blocks.

    Of a run with many metrics the blocks hold all of them: who reads several of its series reads this once, and gives
    each reader its part.
    """
    found: dict[str, tuple[list[bytes], list[bytes], list[bytes]]] = {key: ([], [], []) for key in keys}
    query = select(metric_blocks.c.block).where(metric_blocks.c.run_id == run_id)
    for packed in connection.execute(query.execution_options(yield_per=_FETCH_ROWS)).scalars():
        its_keys, columns = columns_of_bytes(packed)
        wanted = found.keys() & set(its_keys)
        if not wanted:
            continue
        # Blocks of one key are taken as bytes: 600,000 arrays of one number would take seconds. Others are cut to the
        # keys at once: the other metrics of a run would not fit in memory.
        parts = (
            ((its_keys[0], columns[1:]),) if len(its_keys) == 1 else _cut(block_of_columns(its_keys, columns), wanted)
        )
        for key, some in parts:
            for column, part in zip(found[key], some, strict=True):
                column.append(part)
    return {
        key: ordered(
            np.frombuffer(_joined(steps), dtype="<i8"),
            np.frombuffer(_joined(times_us), dtype="<i8"),
            np.frombuffer(_joined(values), dtype="<f8"),
        )
        for key, (steps, times_us, values) in found.items()
    }


def _cut(block: MetricBlock, keys: Set[str]) -> Iterator[tuple[str, list[bytes]]]:
    """Give the columns of each of these keys, which the block all has."""
    if len(keys) <= _SEARCHED_KEYS:
        for key in keys:
            yield key, columns_of(block.of_key(key))
        return
    order = np.argsort(block.key_indices, kind="stable")
    ends = np.searchsorted(block.key_indices[order], np.arange(len(block.keys) + 1))
    for number, key in enumerate(block.keys):
        if key in keys:
            its = order[ends[number] : ends[number + 1]]
            part = MetricBlock((key,), block.key_indices[its], block.steps[its], block.times_us[its], block.values[its])
            yield key, columns_of(part)


def _joined(parts: list[bytes]) -> bytes:
    """Return the parts as one, and let go of them before the next column is joined."""
    joined = b"".join(parts)
    parts.clear()
    return joined


def block_of_rows(packed: Iterable[bytes]) -> MetricBlock:
    """Return all points of the blocks, given as they rest, as one block."""
    parts: dict[tuple[str, ...], list[list[bytes]]] = {}
    for row in packed:
        keys, columns = columns_of_bytes(row)
        parts.setdefault(tuple(keys), []).append(columns)
    # Blocks of the same keys, such as those of one point each, are joined as bytes before they are arrays.
    joined = ((keys, [b"".join(column) for column in zip(*rows, strict=True)]) for keys, rows in parts.items())
    return concatenate(block_of_columns(keys, columns) for keys, columns in joined)


def columns_of(block: MetricBlock) -> list[bytes]:
    """Return steps, times and values as little-endian bytes."""
    return [
        block.steps.astype("<i8", copy=False).tobytes(),
        block.times_us.astype("<i8", copy=False).tobytes(),
        block.values.astype("<f8", copy=False).tobytes(),
    ]
