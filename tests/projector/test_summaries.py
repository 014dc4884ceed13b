"""Summaries of many runs at once say what looking at every point one by one says, however the points were split."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrail_core.metric_block import MetricPoint, block_of_points
from mltrail_projector.summaries import Summaries, merge, summaries_of_rows, summarize
from tests.thorough import examples

Points = list[tuple[str, MetricPoint]]

_points = st.builds(
    MetricPoint,
    key=st.sampled_from(["a", "b", "c"]),
    value=st.sampled_from([math.nan, -math.inf, -1.5, -0.0, 0.0, 2.5, math.inf]),
    step=st.integers(-2, 2),
    time_us=st.integers(0, 2),
)
_logged = st.lists(st.tuples(st.sampled_from(["run 1", "run 2"]), _points), min_size=1, max_size=40)


@settings(max_examples=examples(25, 60), deadline=None)
@given(points=_logged, cut=st.integers(0, 40))
def test_summaries_are_those_of_every_point_looked_at_one_by_one(points: Points, cut: int) -> None:
    expected = [_one_by_one(run_id, key, points) for run_id, key in sorted({(run, p.key) for run, p in points})]
    assert _summaries(points).rows() == expected
    known = _summaries(points[:cut]).rows() if points[:cut] else []
    fresh = _summaries(points[cut:]) if points[cut:] else summaries_of_rows([])
    named = {row[:2]: row for row in known}
    common = summaries_of_rows([named[key] for key in fresh.keys if key in named])
    named.update({row[:2]: row for row in merge(fresh, common).rows()})
    assert [named[key] for key in sorted(named, key=repr)] == expected


def test_rows_are_read_back_as_they_were() -> None:
    points = [("run 1", MetricPoint("a", value, step, 7)) for step, value in enumerate([math.nan, 1.5, -2.0])]
    only_nan = [("run 1", MetricPoint("b", math.nan, 2**53 + 1, 2**62 + 1))]
    rows = _summaries(points + only_nan).rows()
    assert summaries_of_rows(rows).rows() == rows
    assert rows[1] == ("run 1", "b", 1, 2**53 + 1, 2**62 + 1, None, 2**53 + 1, 2**62 + 1, None, None, None, None, None)


def test_more_keys_than_two_bytes_can_number_are_told_apart() -> None:
    points = [("run 1", MetricPoint(f"key {number:06}", float(number), 0, 0)) for number in range(70_000)]
    summaries = _summaries(points)
    assert np.array_equal(summaries.last_value, np.arange(70_000.0))
    assert summaries.keys[69_999] == ("run 1", "key 069999")


def _summaries(points: Points) -> Summaries:
    by_run: dict[str, list[MetricPoint]] = {}
    for run_id, point in points:
        by_run.setdefault(run_id, []).append(point)
    return summarize({run_id: block_of_points(own) for run_id, own in by_run.items()})


def _one_by_one(run_id: str, key: str, points: Points) -> tuple[object, ...]:
    own = sorted((point for run, point in points if (run, point.key) == (run_id, key)), key=_place)
    numbers = [point for point in own if not math.isnan(point.value)]
    lowest = min(numbers, key=lambda point: (point.value, point.step), default=None)
    highest = min(numbers, key=lambda point: (-point.value, point.step), default=None)
    cells: list[object] = [run_id, key, len(own)]
    for point in (own[-1], own[0]):
        cells += [point.step, point.time_us, None if math.isnan(point.value) else point.value]
    for extreme in (lowest, highest):
        cells += [None, None] if extreme is None else [extreme.value, extreme.step]
    return tuple(cells)


def _place(point: MetricPoint) -> tuple[int, int, bool, float]:
    is_number = not math.isnan(point.value)
    return point.step, point.time_us, is_number, point.value if is_number else 0.0
