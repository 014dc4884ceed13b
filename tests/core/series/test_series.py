"""What a series is to its readers: order, exact duplicates, windows, outlines."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrail_core.series import Series, Window, ordered
from mltrail_core.series.thinning import thinned

POINTS = st.lists(
    st.tuples(
        st.integers(-3, 3),
        st.integers(0, 3),
        st.sampled_from([-1.0, -0.0, 0.0, 1.0, math.nan, -math.inf, math.inf]),
    ),
    max_size=30,
)


def series_of(points: list[tuple[int, int, float]]) -> Series:
    steps, times_us, values = zip(*points, strict=True) if points else ((), (), ())
    return ordered(np.array(steps, np.int64), np.array(times_us, np.int64), np.array(values, np.float64))


def tuples_of(series: Series) -> list[tuple[int, int, float]]:
    return list(zip(series.steps.tolist(), series.times_us.tolist(), series.values.tolist(), strict=True))


def place_of(point: tuple[int, int, float]) -> tuple[int, int, bool, float]:
    step, time_us, value = point
    return (step, time_us, not math.isnan(value), 0.0 if math.isnan(value) else value)


@settings(max_examples=60)
@given(POINTS)
def test_points_stand_by_step_time_and_value_and_exact_duplicates_once(points: list[tuple[int, int, float]]) -> None:
    found = [place_of(point) for point in tuples_of(series_of(points))]
    assert found == sorted({place_of(point) for point in points})


@settings(max_examples=30)
@given(POINTS, st.permutations(range(30)))
def test_the_order_in_which_points_came_leaves_no_trace(points: list[tuple[int, int, float]], order: list[int]) -> None:
    shuffled = [points[place] for place in order if place < len(points)]
    ours, theirs = series_of(points), series_of(shuffled)
    assert ours.steps.tolist() == theirs.steps.tolist()
    assert np.copysign(1.0, ours.values).tolist() == np.copysign(1.0, theirs.values).tolist()


@settings(max_examples=60)
@given(POINTS, *[st.none() | st.integers(-4, 4)] * 4)
def test_a_window_shows_what_is_within_its_closed_bounds(
    points: list[tuple[int, int, float]],
    first_step: int | None,
    last_step: int | None,
    first_us: int | None,
    last_us: int | None,
) -> None:
    series = series_of(points)
    expected = [
        place_of(point)
        for point in tuples_of(series)
        if (first_step is None or point[0] >= first_step)
        and (last_step is None or point[0] <= last_step)
        and (first_us is None or point[1] >= first_us)
        and (last_us is None or point[1] <= last_us)
    ]
    found = series.within(Window(first_step, last_step, first_us, last_us))
    assert [place_of(point) for point in tuples_of(found)] == expected


@settings(max_examples=60)
@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, math.nan, math.inf]), min_size=1, max_size=40), st.integers(1, 7))
def test_thinned_series_keep_the_first_extremes_of_each_bucket_and_both_ends(
    values: list[float], bucket_points: int
) -> None:
    series = series_of([(step, 0, value) for step, value in enumerate(values)])
    expected = {0, len(values) - 1}
    for start in range(0, len(values), bucket_points):
        numbers = [
            (value, start + n) for n, value in enumerate(values[start : start + bucket_points]) if value == value
        ]
        if numbers:
            expected |= {min(numbers)[1], min(numbers, key=lambda found: (-found[0], found[1]))[1]}
    assert thinned(series, bucket_points).steps.tolist() == sorted(expected)
