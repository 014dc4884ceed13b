"""Outlines: few points of a long series among which is every extreme, for charts."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from mltrail_core.series.chunk import BUCKET_POINTS
from mltrail_core.series.series import Series, Window, joined
from mltrail_core.series.stored import StoredSeries
from mltrail_core.series.thinning import thinned

_WHOLE = 4
"""A series with no more points than so many a bucket is given whole: an outline has two of each."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What is seen of a series: all `total` points of the window, or the extremes of its buckets and both ends."""

    total: int
    series: Series


def outline(
    connection: Connection, run_id: str, key: str, window: Window, min_buckets: int, loose: Series | None = None
) -> Outline:
    """Return the outline of a run's metric in at least `min_buckets` buckets of consecutive points.

    Of each bucket the first minimum and the first maximum are there, of the window the first and the last point. NaN
    is no minimum and no maximum; a bucket of NaN alone is left out. Of chunks that are in the window as a whole only
    the pyramids are unpacked, unless they are too coarse for so many buckets.

    Args:
        loose: what `read_loose` found of the metric in the same transaction, when several are read.
    """
    stored = StoredSeries(connection, run_id, key, window, loose)
    coarse_points = BUCKET_POINTS * min_buckets  # a series of more has enough buckets in its pyramids
    wholes = [place for place, part in enumerate(stored.parts) if stored.is_whole_chunk(part)]
    others = sorted(set(range(len(stored.parts))) - set(wholes))
    total = sum(part.span.point_count for part in stored.at(wholes) if part.span is not None)
    found: dict[int, Series] = {}
    is_long = False
    for place, points in zip(others, stored.points(stored.at(others)), strict=True):
        total += len(points)
        if total > coarse_points and not is_long:  # what is kept as it is stays small
            is_long = True
            found = {known: thinned(series, BUCKET_POINTS) for known, series in found.items()}
        found[place] = thinned(points, BUCKET_POINTS) if is_long else points
    if total <= coarse_points:
        found.update(zip(wholes, stored.points(stored.at(wholes)), strict=True))
        series = joined([found[place] for place in sorted(found)])
        return Outline(total, series if total <= _WHOLE * min_buckets else thinned(series, total // min_buckets))
    found.update(zip(wholes, stored.pyramids(stored.at(wholes)), strict=True))
    return Outline(total, joined([found[place] for place in sorted(found)]))
