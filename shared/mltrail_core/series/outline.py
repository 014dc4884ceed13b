"""Outlines: few points of a long series among which is every extreme, for charts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from mltrail_core.series.reading import read_series
from mltrail_core.series.series import NOTHING, Series, Window

_WHOLE = 4
"""A series with no more points than so many a bucket is given whole: an outline has two of each."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What is seen of a series: all `total` points of the window, or the extremes of its buckets and both ends."""

    total: int
    series: Series


def outline(connection: Connection, run_id: str, key: str, window: Window, min_buckets: int) -> Outline:
    """Return the outline of a run's metric in at least `min_buckets` buckets of consecutive points.

    Of each bucket the first minimum and the first maximum are there, of the window the first and the last point. NaN
    is no minimum and no maximum; a bucket of NaN alone is left out.
    """
    points = read_series(connection, run_id, key, window)
    if len(points) <= _WHOLE * min_buckets:
        return Outline(len(points), points)
    return Outline(len(points), thinned(points, len(points) // min_buckets))


def thinned(points: Series, bucket_points: int) -> Series:
    """Return the first minimum and maximum of every `bucket_points` points, NaN apart, and the first and last point."""
    if not len(points):
        return NOTHING
    starts = np.arange(0, len(points), bucket_points)
    numbers = np.arange(len(points)) // bucket_points
    chosen = [np.array([0, len(points) - 1])]
    for extreme in (np.fmin, np.fmax):
        best = extreme.reduceat(points.values, starts)
        found = np.flatnonzero(points.values == best[numbers])
        chosen.append(found[np.unique(numbers[found], return_index=True)[1]])
    return points.at(np.unique(np.concatenate(chosen)))
