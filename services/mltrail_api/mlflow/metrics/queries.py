"""The points of one metric as MLflow's endpoints give them: by time, by page, or sampled."""

from __future__ import annotations

import numpy as np

from mltrail_core.series import Series


def by_time(points: Series) -> Series:
    """Return the points by (time, step, value), the order of get-history; NaN counts as 0 there, as in stock."""
    values = np.where(np.isnan(points.values), 0.0, points.values)
    return points.at(np.lexsort((values, points.steps, points.times_us)))


def page(points: Series, start: int, count: int) -> Series:
    """Return `count` points from `start` on, fewer at the end."""
    return points.at(slice(start, start + max(0, count)))


def sampled(points: Series, count: int) -> Series:
    """Return at most `count` points, evenly spread in their order; first, last, minimum and maximum are among them.

    As stock's NTILE: as many buckets as asked for, the first ones one larger, of each its first point, and the last
    point of all. Stock stops there; here the points nearest to minimum and maximum give way to those, so that no spike
    is lost. Fewer than four points have no room for them.
    """
    total = len(points)
    if total <= count:
        return points
    size, larger = divmod(total, count)
    numbers = np.arange(count)
    chosen = numbers * size + np.minimum(numbers, larger)
    chosen[-1] = total - 1
    if count >= 4 and not np.isnan(points.values).all():
        kept = {0, count - 1}
        for extreme in (int(np.nanargmin(points.values)), int(np.nanargmax(points.values))):
            found = np.flatnonzero(chosen == extreme)
            free = [number for number in range(count) if number not in kept]
            place = int(found[0]) if len(found) else min(free, key=lambda number: abs(int(chosen[number]) - extreme))
            chosen[place] = extreme
            kept.add(place)
    return points.at(np.unique(chosen))
