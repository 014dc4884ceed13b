"""Which points of a series stand for all of them: the extremes of its buckets."""

from __future__ import annotations

import numpy as np

from mltrail_core.series.series import Series


def thinned(points: Series, bucket_points: int) -> Series:
    """Return the first minimum and maximum of every `bucket_points` points, NaN apart, and the first and last point."""
    if not len(points):
        return points
    starts = np.arange(0, len(points), bucket_points)
    numbers = np.arange(len(points)) // bucket_points
    chosen = [np.array([0, len(points) - 1])]
    for extreme in (np.fmin, np.fmax):
        best = extreme.reduceat(points.values, starts)
        found = np.flatnonzero(points.values == best[numbers])
        chosen.append(found[np.unique(numbers[found], return_index=True)[1]])
    return points.at(np.unique(np.concatenate(chosen)))
