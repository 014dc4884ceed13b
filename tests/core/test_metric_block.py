"""Points in columns: the short way for a single point gives what the long way gives."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from mltrail_core.metric_block import MetricPoint, block_of_points, event_of_points

_INT64 = st.integers(-(2**63), 2**63 - 1)
_POINTS = st.builds(MetricPoint, st.text(min_size=1), st.floats() | st.just(math.nan), _INT64, _INT64)


@settings(max_examples=50)
@given(st.lists(_POINTS, min_size=1, max_size=3))
def test_event_of_points_is_the_event_of_their_block(points: list[MetricPoint]) -> None:
    event = event_of_points("0" * 32, 7, points, model_id="m-1", dataset_name="d", dataset_digest="x")
    block = block_of_points(points)
    assert event == block.to_event("0" * 32, 7, model_id="m-1", dataset_name="d", dataset_digest="x")
