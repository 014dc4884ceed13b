"""A sample of the points of one metric, as MLflow's page asks for it."""

from __future__ import annotations

import numpy as np

from mltrail_core.series import Series


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
