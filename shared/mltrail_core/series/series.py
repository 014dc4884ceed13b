"""The points of one metric in the order that readers see, and the window that a reader looks through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mltrail_core.metric_block import MetricPoint

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Series:
    """n points by (step, time, value), NaN before every number; exact duplicates are there once.

    `steps` int64, `times_us` int64 (µs UTC by the producer's clock), `values` float64, each of length n.
    """

    steps: Ints
    times_us: Ints
    values: Floats

    def __len__(self) -> int:
        return len(self.values)

    def points(self, key: str) -> list[MetricPoint]:
        """Return the points one by one, in order, as those of the metric `key`."""
        columns = (self.values.tolist(), self.steps.tolist(), self.times_us.tolist())
        return [MetricPoint(key, value, step, us) for value, step, us in zip(*columns, strict=True)]

    def at(self, places: Places | slice) -> Series:
        """Return the points at these places; the caller keeps them in order."""
        return Series(self.steps[places], self.times_us[places], self.values[places])

    def within(self, window: Window) -> Series:
        """Return the points that are in the window."""
        first, last = 0, len(self)
        if window.first_step is not None:
            first = int(np.searchsorted(self.steps, window.first_step, side="left"))
        if window.last_step is not None:
            last = int(np.searchsorted(self.steps, window.last_step, side="right"))
        some = self if (first, last) == (0, len(self)) else self.at(slice(first, max(first, last)))
        if window.first_us is None and window.last_us is None:
            return some
        is_in = np.ones(len(some), dtype=np.bool_)
        if window.first_us is not None:
            is_in &= some.times_us >= window.first_us
        if window.last_us is not None:
            is_in &= some.times_us <= window.last_us
        return some if is_in.all() else some.at(np.flatnonzero(is_in))


@dataclass(frozen=True, slots=True)
class Window:
    """Closed bounds of steps and of times (µs UTC); None: no bound."""

    first_step: int | None = None
    last_step: int | None = None
    first_us: int | None = None
    last_us: int | None = None


EVERYTHING = Window()
NOTHING = Series(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64))


def ordered(steps: Ints, times_us: Ints, values: Floats) -> Series:
    """Return the points, given in any order and as often as they came, as a series."""
    return distinct(in_order(steps, times_us, values))


def in_order(steps: Ints, times_us: Ints, values: Floats) -> Series:
    """Return the points in the order of a series, duplicates as often as they came: not yet what readers see.

    Points that differ in the sign of zero or in the bits of NaN stand in a fixed order too, so that which of them
    readers are given does not depend on which came first.
    """
    if is_rising(steps, times_us):
        return Series(steps, times_us, values)
    is_nan = np.isnan(values)
    numbers = np.where(is_nan, 0.0, values)
    return Series(steps, times_us, values).at(np.lexsort((values.view(np.int64), numbers, ~is_nan, times_us, steps)))


def distinct(points: Series) -> Series:
    """Return points that are in order with exact duplicates once: -0.0 is 0.0, and NaN is NaN."""
    if is_rising(points.steps, points.times_us):
        return points
    is_nan = np.isnan(points.values)
    is_new = np.ones(len(points), dtype=np.bool_)
    is_new[1:] = (
        (points.steps[1:] != points.steps[:-1])
        | (points.times_us[1:] != points.times_us[:-1])
        | ((points.values[1:] != points.values[:-1]) & ~(is_nan[1:] & is_nan[:-1]))
    )
    return points if is_new.all() else points.at(np.flatnonzero(is_new))


def joined(parts: Sequence[Series]) -> Series:
    """Return the points of consecutive parts as one series."""
    if len(parts) == 1:
        return parts[0]
    parts = [NOTHING, *parts]
    return Series(
        np.concatenate([part.steps for part in parts]),
        np.concatenate([part.times_us for part in parts]),
        np.concatenate([part.values for part in parts]),
    )


def merged(one: Series, other: Series) -> Series:
    """Return the points of two series, which may lie in each other, as one."""
    if not len(one) or not len(other):
        return one if len(one) else other
    both = joined([one, other])
    return ordered(both.steps, both.times_us, both.values)


def is_rising(steps: Ints, times_us: Ints) -> bool:
    """Return whether each point is later than the one before by (step, time): as most series come."""
    later = steps[1:] > steps[:-1]
    if later.all():
        return True
    later |= (steps[1:] == steps[:-1]) & (times_us[1:] > times_us[:-1])
    return bool(later.all())
