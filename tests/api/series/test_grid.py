"""Statistics over runs on a common grid of steps, against a reference that goes through the points one by one."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mltrail_api.series.grid import Statistics, Voice, grid_over, statistics_of, voice_of
from mltrail_core.series import Series

Points = list[tuple[int, float]]
_VALUES = st.one_of(st.floats(-1e6, 1e6, allow_subnormal=False), st.just(math.nan))
_RUN = st.lists(st.tuples(st.integers(-40, 60), _VALUES), max_size=40)


def series_of(points: Points) -> Series:
    points = sorted(points, key=lambda point: point[0])
    steps = np.array([step for step, _ in points], dtype=np.int64)
    return Series(steps, steps * 1000, np.array([value for _, value in points], dtype=np.float64))


def in_parts(series: Series, size: int) -> Iterator[Series]:
    for start in range(0, len(series), size):
        yield series.at(slice(start, start + size))


def reference(runs: list[Points], first_step: int, last_step: int) -> tuple[int, list[float]]:
    """Return runs with a voice, and mean, std, min, max and median of one cell."""
    of_runs = [
        [value for step, value in points if first_step <= step <= last_step and not math.isnan(value)]
        for points in runs
    ]
    of_runs = [values for values in of_runs if values]
    if not of_runs:
        return 0, [math.nan] * 5
    means = [math.fsum(values) / len(values) for values in of_runs]
    everything = [value for values in of_runs for value in values]
    return len(means), [
        statistics.fmean(means),
        statistics.pstdev(means),
        min(everything),
        max(everything),
        statistics.median(means),
    ]


def columns(found: Statistics) -> list[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    return [found.mean, found.std, found.min, found.max, found.median]


@settings(max_examples=30, deadline=None)
@given(runs=st.lists(_RUN, min_size=1, max_size=5), cells=st.integers(1, 30), part=st.integers(1, 9))
@example(runs=[[(0, 1.0), (0, 3.0), (5, math.nan)], [(1, 10.0)], []], cells=3, part=1)
def test_statistics_are_those_of_the_points_one_by_one(runs: list[Points], cells: int, part: int) -> None:
    grid = grid_over(-40, 60, cells)
    found = statistics_of([voice_of(in_parts(series_of(points), part), grid) for points in runs], grid)
    for cell, (first, last) in enumerate(zip(grid.first_steps.tolist(), grid.last_steps.tolist(), strict=True)):
        count, expected = reference(runs, first, last)
        assert found.runs[cell] == count
        np.testing.assert_allclose([column[cell] for column in columns(found)], expected, rtol=1e-9, atol=1e-6)


@given(
    first=st.integers(-(2**63), 2**63 - 1),
    width=st.integers(1, 2**64),
    cells=st.integers(1, 1000),
)
@settings(max_examples=25, deadline=None)
@example(first=-(2**63), width=2**64, cells=1000)
def test_cells_cover_all_steps_once_and_are_equally_wide(first: int, width: int, cells: int) -> None:
    last = min(first + width - 1, 2**63 - 1)
    grid = grid_over(first, last, cells)
    firsts, lasts = grid.first_steps.tolist(), grid.last_steps.tolist()
    assert (firsts[0], lasts[-1]) == (first, last)
    assert [step + 1 for step in lasts[:-1]] == firsts[1:]
    widths = {end - start + 1 for start, end in zip(firsts, lasts, strict=True)}
    assert max(widths) - min(widths) <= 1
    assert len(grid) == min(cells, last - first + 1)
    assert grid.cells_of(grid.first_steps).tolist() == grid.cells_of(grid.last_steps).tolist() == list(range(len(grid)))


def test_infinity_counts_as_numpy_counts_it() -> None:
    grid = grid_over(0, 2, 3)
    runs = [[(0, math.inf), (1, math.inf), (2, 1e308)], [(0, 1.0), (1, -math.inf), (2, 1.6e308)]]
    found = statistics_of([voice_of([series_of(points)], grid) for points in runs], grid)
    np.testing.assert_array_equal(found.mean[:2], [math.inf, math.nan])
    np.testing.assert_array_equal(found.min, [1.0, -math.inf, 1e308])
    np.testing.assert_array_equal(found.max, [math.inf, math.inf, 1.6e308])
    np.testing.assert_allclose(found.median, [math.inf, math.nan, 1.3e308])


def test_a_group_without_a_voice_has_no_statistics() -> None:
    grid = grid_over(0, 9, 2)
    nobody: list[Voice] = []
    for voices in (nobody, [voice_of([], grid)], [voice_of([series_of([(3, math.nan)])], grid)]):
        found = statistics_of(voices, grid)
        assert found.runs.tolist() == [0, 0]
        assert all(column.shape == (2,) and np.isnan(column).all() for column in columns(found))


@pytest.mark.parametrize(("lengths", "median"), [((1.0, 9.0, 2.0), 2.0), ((1.0, 9.0, 2.0, 4.0), 3.0)])
def test_a_median_is_the_middle_run_or_between_the_two_in_the_middle(lengths: list[float], median: float) -> None:
    grid = grid_over(0, 0, 1)
    found = statistics_of([voice_of([series_of([(0, value)])], grid) for value in lengths], grid)
    assert found.median.tolist() == [median]
