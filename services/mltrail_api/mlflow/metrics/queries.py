"""The points of one metric, read from the blocks of its run. An exact duplicate is one point to every reader."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, select

from mltrail_core.metric_block import MetricBlock, block_of_bytes, concatenate
from mltrail_core.readmodel.tables import metric_blocks


def metric_points(connection: Connection, run_id: str, key: str) -> MetricBlock:
    """Return the distinct points of a run's metric by (step, time, value), NaN before every number."""
    rows = connection.execute(
        select(metric_blocks.c.block)
        .where(metric_blocks.c.run_id == run_id)
        .order_by(metric_blocks.c.last_index, metric_blocks.c.number)
    )
    # Each block is cut to the key before all are joined: a wide run's other keys would not fit in memory.
    return _distinct(concatenate(block_of_bytes(row.block).of_key(key) for row in rows))


def by_time(points: MetricBlock) -> MetricBlock:
    """Return the points by (time, step, value), the order of get-history; NaN counts as 0 there, as in stock."""
    values = np.where(np.isnan(points.values), 0.0, points.values)
    return _chosen(points, np.lexsort((values, points.steps, points.times_us)))


def between(points: MetricBlock, first_step: int, last_step: int) -> MetricBlock:
    """Return the points whose step is in the closed interval."""
    return _chosen(points, np.flatnonzero((points.steps >= first_step) & (points.steps <= last_step)))


def page(points: MetricBlock, start: int, count: int) -> MetricBlock:
    """Return `count` points from `start` on, fewer at the end."""
    return _chosen(points, np.arange(min(start, len(points)), min(start + count, len(points))))


def sampled(points: MetricBlock, count: int) -> MetricBlock:
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
    return _chosen(points, np.unique(chosen))


def _distinct(points: MetricBlock) -> MetricBlock:
    is_nan = np.isnan(points.values)
    values = np.where(is_nan, 0.0, points.values)
    ordered = _chosen(points, np.lexsort((values, ~is_nan, points.times_us, points.steps)))
    if len(ordered) < 2:
        return ordered
    same = (
        (ordered.steps[1:] == ordered.steps[:-1])
        & (ordered.times_us[1:] == ordered.times_us[:-1])
        & ((ordered.values[1:] == ordered.values[:-1]) | (np.isnan(ordered.values[1:]) & np.isnan(ordered.values[:-1])))
    )
    return _chosen(ordered, np.flatnonzero(np.concatenate([[True], ~same])))


def _chosen(points: MetricBlock, places: npt.NDArray[np.intp]) -> MetricBlock:
    return MetricBlock(
        points.keys, points.key_indices[places], points.steps[places], points.times_us[places], points.values[places]
    )
