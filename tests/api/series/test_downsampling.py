"""Few points that look like many: what a chart must never lose is among them, whatever the values are."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mltrail_api.series.downsampling import MIN_POINTS, chosen_places, downsampled
from mltrail_core.series import Series

Floats = npt.NDArray[np.float64]
_VALUES = st.lists(
    st.one_of(st.floats(-1e3, 1e3), st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e308, -1e308, 5e-324])),
    min_size=1,
    max_size=400,
)


def series_of(values: Floats, steps: npt.NDArray[np.int64] | None = None) -> Series:
    numbers = np.arange(len(values)) if steps is None else steps
    return Series(numbers, numbers * 1000, values)


@settings(max_examples=60, deadline=None)
@given(values=_VALUES, count=st.integers(MIN_POINTS, 120))
@example(values=[math.nan] * 50, count=4)
@example(values=[math.nan, *[1.0] * 50, math.inf, math.nan], count=10)
def test_ends_and_extremes_of_every_bucket_are_kept_in_order_and_no_more_points_than_asked_for(
    values: list[float], count: int
) -> None:
    array = np.array(values)
    series = series_of(array)
    kept = downsampled(series, count)
    places = kept.steps
    assert len(kept) <= count
    if len(array) <= count:
        assert len(kept) == len(array)
    assert np.all(np.diff(places) > 0)
    np.testing.assert_array_equal(kept.values, array[places])
    assert (places[0], places[-1]) == (0, len(array) - 1)
    numbers = np.flatnonzero(~np.isnan(array))
    for bucket in np.array_split(numbers, count // 8 or 1):
        if len(bucket):
            assert array[bucket].min() in kept.values
            assert array[bucket].max() in kept.values


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    places=st.sets(st.integers(0, 19_999), min_size=1, max_size=12),
    count=st.integers(96, 500),
)
def test_spikes_survive(seed: int, places: set[int], count: int) -> None:
    """However few or close together: as many as there are buckets of extremes, one up and one down in each."""
    noise = np.random.default_rng(seed).normal(size=20_000) * 1e-3
    for number, place in enumerate(sorted(places)):
        noise[place] = 100.0 + number
    bucket_of = np.repeat(np.arange(count // 8), [len(part) for part in np.array_split(noise, count // 8)])
    highest = {max(place for place in places if bucket_of[place] == bucket) for bucket in bucket_of[list(places)]}
    assert highest <= set(chosen_places(noise, count).tolist())


def test_a_spike_down_beside_a_spike_up_survives_too() -> None:
    noise = np.random.default_rng(3).normal(size=5000) * 1e-3
    for place in range(100, 4900, 37):
        values = noise.copy()
        values[place : place + 2] = 100.0, -120.0
        assert {place, place + 1} <= set(chosen_places(values, 50).tolist()), place


def test_most_of_the_points_asked_for_are_given_whatever_the_steps_are() -> None:
    values = np.random.default_rng(1).normal(size=10_000).cumsum()
    far_away = np.arange(10_000)
    far_away[5000:] += 10**15
    for steps in (np.arange(10_000), np.zeros(10_000, dtype=np.int64), np.arange(10_000) // 10, far_away):
        assert 750 <= len(downsampled(series_of(values, steps), 1000)) <= 1000


def test_a_drawn_line_stays_close_to_the_whole_one() -> None:
    steps = np.arange(50_000)
    values = np.exp(-steps / 8000) + 0.05 * np.sin(steps / 900)
    kept = downsampled(series_of(values), 200)
    drawn = np.interp(steps, kept.steps, kept.values)
    assert float(np.abs(drawn - values).max()) < 0.01


def test_fewer_points_than_a_line_needs_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="can't choose 3 points"):
        chosen_places(np.zeros(10), 3)
