"""Whole series and streams of them."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from mltrail_core.series.loose import read_loose
from mltrail_core.series.series import EVERYTHING, Series, Window

PART_POINTS = 65_536
"""A stream gives about so many points at a time: 1.5 MB."""


def read_series(connection: Connection, run_id: str, key: str, window: Window = EVERYTHING) -> Series:
    """Return the distinct points of a run's metric within a window; none when it has none."""
    return read_loose(connection, run_id, key).within(window)


def stream_series(connection: Connection, run_id: str, key: str, window: Window = EVERYTHING) -> Iterator[Series]:
    """Give the same points as `read_series`, part by part in their order; no part is empty."""
    points = read_series(connection, run_id, key, window)
    for first in range(0, len(points), PART_POINTS):
        yield points.at(slice(first, first + PART_POINTS))
