"""Every point of a run as it was logged, duplicates too: what digests of a read model cover."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sqlalchemy import Connection, select

from mltrail_core.metric_block import MetricBlock
from mltrail_core.readmodel.tables import metric_blocks, metric_chunks
from mltrail_core.series.chunk import logged_points_of
from mltrail_core.series.loose import block_of_rows
from mltrail_core.series.series import NOTHING, Series, joined
from mltrail_core.series.spans import keys_with_chunks, read_spans, sweep


def logged_points(connection: Connection, run_id: str) -> Iterator[tuple[str, Series]]:
    """Give the points of a run, metric by metric, in parts: by (step, time), then by the bits of the value as int64.

    Points of one step and time are in one part, so whatever chunks and blocks there are, the parts put together are
    the same. What is not compacted is in memory as a whole.
    """
    packed = select(metric_blocks.c.block).where(metric_blocks.c.run_id == run_id)
    block = block_of_rows(connection.execute(packed).scalars())
    loose = dict(_by_key(block))
    chunked = keys_with_chunks(connection, run_id)
    for key in sorted(loose.keys() | chunked):
        points = loose.pop(key, NOTHING)
        if key not in chunked:
            yield key, points
            continue
        for part in sweep(points, read_spans(connection, run_id, key)):
            yield (
                key,
                part.loose if part.span is None else _with_chunk(connection, run_id, key, part.span.number, part.loose),
            )


def _with_chunk(connection: Connection, run_id: str, key: str, number: int, loose: Series) -> Series:
    chunk = metric_chunks.c
    query = select(chunk["columns"]).where(chunk.run_id == run_id, chunk.key == key, chunk.number == number)
    points = joined([logged_points_of(connection.execute(query).scalar_one()), loose])
    return points.at(np.lexsort((points.values.view(np.int64), points.times_us, points.steps)))


def _by_key(block: MetricBlock) -> Iterator[tuple[str, Series]]:
    order = np.lexsort((block.values.view(np.int64), block.times_us, block.steps, block.key_indices))
    key_indices = block.key_indices[order]
    points = Series(block.steps[order], block.times_us[order], block.values[order])
    for number, key in enumerate(block.keys):
        first, end = np.searchsorted(key_indices, [number, number + 1])
        if first < end:
            yield key, points.at(slice(int(first), int(end)))
