"""Pages of a series by time, the order of MLflow's get-history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from mltrail_core.series.series import Series, is_rising, joined
from mltrail_core.series.spans import Part
from mltrail_core.series.stored import StoredSeries


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Some of the `total` points of a series, by (time, step, value)."""

    total: int
    points: Series


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Parts whose times lie in each other, and in no other stretch."""

    parts: tuple[Part, ...]
    point_count: int
    latest_us: int


def read_history_page(
    connection: Connection, run_id: str, key: str, start: int = 0, count: int | None = None
) -> HistoryPage:
    """Return `count` points of a run's metric by (time, step, value) from `start` on; None: all that follow.

    NaN stands where 0 does, as in stock. Where the times of chunks do not lie in each other, as when time goes on with
    the steps, only the chunks that the page shows are unpacked.
    """
    stored = StoredSeries(connection, run_id, key)
    stretches = list(_stretches(stored))
    total = sum(stretch.point_count for stretch in stretches)
    end = total if count is None else min(total, start + max(0, count))
    found: list[Series] = []
    before = 0
    for stretch in stretches:
        first, last = max(start - before, 0), min(end - before, stretch.point_count)
        if first < last:
            points = _by_time(joined(list(stored.points(stretch.parts))))
            found.append(points.at(slice(first, last)))
        before += stretch.point_count
    return HistoryPage(total, joined(found))


def _stretches(stored: StoredSeries) -> Iterator[_Stretch]:
    """Give the parts of the series by time, together where one begins before the one before it has ended."""
    places = []
    for part in stored.parts:
        if part.is_chunk_alone and part.span is not None:
            places.append((part.span.lowest_us, part.span.highest_us, part.span.point_count, part))
        else:
            (points,) = stored.points([part])
            places.append((int(points.times_us.min()), int(points.times_us.max()), len(points), part))
    open_: _Stretch | None = None
    for lowest_us, highest_us, count, part in sorted(places, key=lambda place: place[:2]):
        if open_ is not None and lowest_us <= open_.latest_us:
            latest_us = max(open_.latest_us, highest_us)
            open_ = _Stretch((*open_.parts, part), open_.point_count + count, latest_us)
        else:
            if open_ is not None:
                yield open_
            open_ = _Stretch((part,), count, highest_us)
    if open_ is not None:
        yield open_


def _by_time(points: Series) -> Series:
    if is_rising(points.times_us, points.steps):
        return points
    values = np.where(np.isnan(points.values), 0.0, points.values)
    return points.at(np.lexsort((values, points.steps, points.times_us)))
