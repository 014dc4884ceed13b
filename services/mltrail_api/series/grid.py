"""A common grid of steps, and statistics over the runs that have points in its cells.

Runs log at steps of their own, so a grid cuts the steps into cells. In one cell a run has one voice, however many
points it logged there: the mean of its values. Mean, standard deviation and median are taken over these voices; minimum
and maximum over all points, so that a band between them hides no spike. NaN is left out as if it had not been logged,
and nothing is made up: a run without a point in a cell has no voice in it, and a cell without a voice no statistics.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mltrail_core.series.series import Floats, Ints, Places, Series

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells of whole steps, one after the other without holes; cell i holds the steps `first_steps[i]` to
    `last_steps[i]`, both included. Their widths differ by one step at most."""

    first_steps: Ints
    last_steps: Ints

    def __len__(self) -> int:
        return len(self.first_steps)

    def cells_of(self, steps: Ints) -> Places:
        """Return the cell of each step; all have to lie on the grid."""
        return np.searchsorted(self.first_steps, steps, side="right") - 1


def grid_over(first_step: int, last_step: int, cells: int) -> Grid:
    """Return a grid over a closed range of steps, with as many cells as asked for, or one for each step if fewer."""
    width = last_step - first_step + 1  # as Python's integers: it may be 2**64
    count = min(cells, width)
    edges = [first_step + number * width // count for number in range(count + 1)]
    return Grid(np.array(edges[:-1], dtype=np.int64), np.array([edge - 1 for edge in edges[1:]], dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Voice:
    """What one run says in each cell: the mean of its values, the least and the greatest; NaN where it says nothing."""

    means: Floats
    least: Floats
    greatest: Floats
    has_points: Flags


def voice_of(parts: Iterable[Series], grid: Grid) -> Voice:
    """Return what a run says; its points come in parts, none of which is kept."""
    counts, sums = np.zeros(len(grid), dtype=np.int64), np.zeros(len(grid))
    least, greatest = np.full(len(grid), np.inf), np.full(len(grid), -np.inf)
    for part in parts:
        is_number = ~np.isnan(part.values)
        cells, values = grid.cells_of(part.steps[is_number]), part.values[is_number]
        if not len(values):
            continue
        counts += np.bincount(cells, minlength=len(grid))
        with np.errstate(all="ignore"):  # ∞ − ∞ is NaN, as it should be
            sums += np.bincount(cells, weights=values, minlength=len(grid))
        starts = np.flatnonzero(np.diff(cells, prepend=-1))  # steps ascend, so each cell's points stand together
        present = cells[starts]
        least[present] = np.minimum(least[present], np.minimum.reduceat(values, starts))
        greatest[present] = np.maximum(greatest[present], np.maximum.reduceat(values, starts))
    has_points = counts > 0
    with np.errstate(all="ignore"):
        means = sums / counts
    return Voice(means, np.where(has_points, least, np.nan), np.where(has_points, greatest, np.nan), has_points)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of one group of runs, a number for each cell; NaN (`runs` 0) where no run of the group has a point.

    `std` is the population's, as `numpy.std`: 0 where one run has a voice.
    """

    runs: Ints
    mean: Floats
    std: Floats
    min: Floats
    max: Floats
    median: Floats


def statistics_of(voices: Sequence[Voice], grid: Grid) -> Statistics:
    """Return the statistics over the voices of one group."""
    shape = (len(voices), len(grid))
    has_points = np.array([voice.has_points for voice in voices], dtype=np.bool_).reshape(shape)
    means, least, greatest = (
        np.array([getattr(voice, name) for voice in voices], dtype=np.float64).reshape(shape)
        for name in ("means", "least", "greatest")
    )
    runs = has_points.sum(axis=0, dtype=np.int64)
    filled = np.where(has_points, means, 0.0)
    with np.errstate(all="ignore"):
        mean = filled.sum(axis=0) / runs
        std = np.sqrt(np.where(has_points, (means - mean) ** 2, 0.0).sum(axis=0) / runs)
    return Statistics(
        runs,
        mean,
        std,
        np.fmin.reduce(least, axis=0, initial=np.nan),
        np.fmax.reduce(greatest, axis=0, initial=np.nan),
        _median(means, has_points, runs),
    )


def _median(means: Floats, has_points: Flags, runs: Ints) -> Floats:
    """Return the middle voice of each cell, or the mean of the two in the middle; NaN as soon as one voice is NaN."""
    if not len(means):
        return np.full(len(runs), np.nan)
    # Runs without a voice are sorted behind all that have one; NaN, which a run of ∞ and −∞ says, behind these.
    ranked = np.take_along_axis(means, np.lexsort((means, ~has_points), axis=0), axis=0)
    lower, upper = np.maximum(runs - 1, 0) // 2, runs // 2
    columns = np.arange(len(runs))
    low, high = ranked[lower, columns], ranked[np.minimum(upper, len(means) - 1), columns]
    with np.errstate(all="ignore"):
        middle = np.where(low == high, low, low / 2 + high / 2)  # halved first: the sum of two may be too large
    is_unknown = (runs == 0) | (np.isnan(means) & has_points).any(axis=0)
    return np.where(is_unknown, np.nan, middle)
