"""Few points that look like many: MinMaxLTTB, and beside its choice what a chart must never lose.

MinMaxLTTB (Van Der Donckt et al., arXiv:2305.00332) keeps one point of each of its buckets, so that of a spike up and a
spike down beside it one vanishes. A quarter of the points is therefore spent on the extremes of fewer, wider buckets.
Buckets hold equal numbers of points, not equal ranges of steps: where steps repeat, or one lies far from the others,
buckets of equal range leave nearly all points in one of them.
"""

from __future__ import annotations

import numpy as np
from tsdownsample import MinMaxLTTBDownsampler

from mltrail_core.series.series import Floats, Places, Series

MIN_POINTS = 4
"""First, last, least and greatest."""
_POINTS_OF_LTTB = 3
"""With fewer than these, tsdownsample panics."""


def downsampled(series: Series, count: int) -> Series:
    """Return the whole series when it has at most `count` points, else at most `count` of them, in order.

    Always among them: the first and the last point, whatever their values, and the (first) least and greatest value of
    each of `count // 8` buckets of equally many points, ±Infinity included. Other NaN are left out.

    Args:
        series: sorted by step and time.
        count: `MIN_POINTS` or more.
    """
    if len(series) <= count:
        return series
    return series.at(chosen_places(series.values, count))


def chosen_places(values: Floats, count: int) -> Places:
    """Return the places, ascending, of the values that are to be drawn; see `downsampled`."""
    if count < MIN_POINTS:
        raise ValueError(f"can't choose {count} points; {MIN_POINTS} or more are needed")
    kept = np.union1d(_extremes(values, max(1, count // 8)), [0, len(values) - 1])
    finite = np.flatnonzero(np.isfinite(values))
    left = count - len(kept)
    if left < _POINTS_OF_LTTB:
        return kept
    if len(finite) <= left:
        return np.union1d(kept, finite)
    algorithm = MinMaxLTTBDownsampler()  # type: ignore[no-untyped-call]
    drawn = algorithm.downsample(np.ascontiguousarray(values[finite]), n_out=left)
    return np.union1d(kept, finite[drawn.astype(np.intp)])


def _extremes(values: Floats, buckets: int) -> Places:
    """Return the places of the first least and the first greatest number of each bucket."""
    numbers = np.flatnonzero(~np.isnan(values))
    found: list[int] = []
    for bucket in np.array_split(numbers, buckets):
        if len(bucket):
            found += [int(bucket[values[bucket].argmin()]), int(bucket[values[bucket].argmax()])]
    return np.array(found, dtype=np.intp)
