"""Chunks: tens of thousands of consecutive points of one metric, compressed, with a pyramid of their extremes.

A chunk keeps every point as it was logged, exact duplicates by how often they came: what was logged stays provable
from the log. Readers are given each point once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mltrail_core.series.packing import Numbers, pack, unpack
from mltrail_core.series.series import Ints, Places, Series, distinct, is_rising
from mltrail_core.series.thinning import thinned

CHUNK_POINTS = 65_536
"""A chunk has at most so many points: 0.5 MB, and a millisecond to unpack. It has more where that many have one step
and time, since a chunk never ends between points of the same."""
BUCKET_POINTS = 256
"""The pyramid has the extremes of each so many points: 4 KB a chunk, 80,000 points of ten millions."""
SHORT_POINTS = 2048
"""A chunk of no more has an empty pyramid and is unpacked instead: thousands of metrics are packed in half the time."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A row of `metric_chunks` but for run, key and number."""

    point_count: int
    first_step: int
    first_us: int
    last_step: int
    last_us: int
    lowest_us: int
    highest_us: int
    pyramid: bytes
    columns: bytes

    def row(self) -> dict[str, int | bytes]:
        """Return the row's values by column."""
        return {name: getattr(self, name) for name in self.__slots__}


def chunks_of(logged: Series) -> list[Chunk]:
    """Return the points, as `in_order` returns them, in chunks of about equal size, in their order."""
    points, counts = _counted(logged)
    ends = _ends(points)
    return [_chunk(points.at(some), None if counts is None else counts[some]) for some in ends]


def points_of(columns: bytes) -> Series:
    """Return the points of a chunk as readers see them."""
    steps, times_us, bits, *_ = unpack(columns)
    return distinct(Series(steps, times_us, bits.view(np.float64)))


def logged_points_of(columns: bytes) -> Series:
    """Return the points of a chunk as they were logged, in their order, duplicates as often as they came."""
    steps, times_us, bits, *rest = unpack(columns)
    points = Series(steps, times_us, bits.view(np.float64))
    return points if not rest else points.at(np.repeat(np.arange(len(points)), rest[0]))


def _counted(logged: Series) -> tuple[Series, Ints | None]:
    """Return the points that differ in any bit, and how often each is there; None: once."""
    if is_rising(logged.steps, logged.times_us):
        return logged, None
    bits = logged.values.view(np.int64)
    is_new = np.ones(len(logged), dtype=np.bool_)
    is_new[1:] = (
        (logged.steps[1:] != logged.steps[:-1])
        | (logged.times_us[1:] != logged.times_us[:-1])
        | (bits[1:] != bits[:-1])
    )
    places = np.flatnonzero(is_new)
    if len(places) == len(logged):
        return logged, None
    return logged.at(places), np.diff(np.append(places, len(logged)))


def _ends(points: Series) -> Sequence[slice]:
    """Return where to part the points: in equal parts, never between points of the same step and time."""
    parts = -(-len(points) // CHUNK_POINTS)
    wanted = [len(points) * number // parts for number in range(1, parts)]
    if wanted and not is_rising(points.steps, points.times_us):
        is_other = (points.steps[1:] != points.steps[:-1]) | (points.times_us[1:] != points.times_us[:-1])
        possible: Places = np.append(np.flatnonzero(is_other) + 1, len(points))
        wanted = sorted({int(possible[np.searchsorted(possible, end)]) for end in wanted} - {len(points)})
    bounds = [0, *wanted, len(points)]
    return [slice(first, end) for first, end in pairwise(bounds)]


def _chunk(points: Series, counts: Ints | None) -> Chunk:
    seen = distinct(points)
    columns: list[Numbers] = [points.steps, points.times_us, points.values]
    if counts is not None and counts.max() > 1:
        columns.append(counts)
    is_short = len(seen) <= SHORT_POINTS
    peaks = seen if is_short else thinned(seen, BUCKET_POINTS)
    return Chunk(
        point_count=len(seen),
        first_step=int(points.steps[0]),
        first_us=int(points.times_us[0]),
        last_step=int(points.steps[-1]),
        last_us=int(points.times_us[-1]),
        lowest_us=int(points.times_us.min()),
        highest_us=int(points.times_us.max()),
        pyramid=b"" if is_short else pack([peaks.steps, peaks.times_us, peaks.values]),
        columns=pack(columns),
    )
