"""Whole series and streams of them."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from mltrail_core.series.chunk import CHUNK_POINTS
from mltrail_core.series.series import EVERYTHING, Series, Window, joined
from mltrail_core.series.stored import StoredSeries


def read_series(connection: Connection, run_id: str, key: str, window: Window = EVERYTHING) -> Series:
    """Return the distinct points of a run's metric within a window; none when it has none.

    Only the chunks that have steps or times of the window are unpacked.
    """
    return joined(list(stream_series(connection, run_id, key, window)))


def stream_series(
    connection: Connection, run_id: str, key: str, window: Window = EVERYTHING, loose: Series | None = None
) -> Iterator[Series]:
    """Give the same points as `read_series`, part by part in their order; no part is empty.

    A few chunks are in memory at a time, and what was not compacted yet. The connection's transaction has to last.

    Args:
        loose: what `read_loose` found of the metric in the same transaction, when several are read.
    """
    stored = StoredSeries(connection, run_id, key, window, loose)
    for points in stored.points(stored.parts):
        for first in range(0, len(points), CHUNK_POINTS):
            yield points.at(slice(first, first + CHUNK_POINTS))
