"""Points in columns: the short way for a single point gives what the long way gives."""

from __future__ import annotations

import math

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrail_core.metric_block import MetricBlock, MetricPoint, block_of_bytes, block_of_points, event_of_points

_INT64 = st.integers(-(2**63), 2**63 - 1)
_POINTS = st.builds(MetricPoint, st.text(min_size=1), st.floats() | st.just(math.nan), _INT64, _INT64)


@settings(max_examples=50)
@given(st.lists(_POINTS, min_size=1, max_size=3))
def test_event_of_points_is_the_event_of_their_block(points: list[MetricPoint]) -> None:
    event = event_of_points("0" * 32, 7, points, model_id="m-1", dataset_name="d", dataset_digest="x")
    block = block_of_points(points)
    assert event == block.to_event("0" * 32, 7, model_id="m-1", dataset_name="d", dataset_digest="x")


@settings(max_examples=50)
@given(
    st.integers(1, 3),
    st.sampled_from([0, 1, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**63, 2**64 - 1]),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**31),
)
def test_a_block_comes_back_whatever_its_numbers_span(groups: int, span: int, least: int, seed: int) -> None:
    least = min(least, 2**63 - 1 - span)
    random = np.random.default_rng(seed)
    count = 40 * groups
    spread = [least, least + span, *(least + int(share * span) for share in random.random(count - 2))]
    keys = tuple(f"key {number}" for number in range(300))
    block = MetricBlock(
        keys,
        np.arange(count, dtype="<u4") * 2,
        np.array(spread, dtype="<i8"),
        np.array(spread[::-1], dtype="<i8"),
        random.random(count),
    )
    back = block_of_bytes(block.to_bytes())
    assert back.keys == keys
    assert (back.key_indices.tolist(), back.steps.tolist()) == (block.key_indices.tolist(), spread)
    assert (back.times_us.tolist(), back.values.tolist()) == (spread[::-1], block.values.tolist())


@pytest.mark.parametrize("count", [1, 63, 64, 1000])
def test_a_block_written_in_full_width_is_read_as_before(count: int) -> None:
    """Read models from before blocks were narrowed hold such."""
    block = block_of_points([MetricPoint("loss", n / 7, n, n * 1000) for n in range(count)])
    columns = (block.key_indices, block.steps, block.times_us, block.values)
    assert (
        block_of_bytes(msgpack.packb([["loss"], *(column.tobytes() for column in columns)])).points() == block.points()
    )


def test_a_block_written_narrowed_is_read_as_before() -> None:
    """Read models from before columns were put in strides hold such."""
    block = block_of_points([MetricPoint("loss", n / 7, n + 5, n * 1000) for n in range(100)])
    steps, times_us = (
        [5, 1, np.arange(100, dtype="<u1").tobytes()],
        [0, 4, np.arange(0, 100_000, 1000, dtype="<u4").tobytes()],
    )
    packed = msgpack.packb([["loss"], [0, 0, b""], steps, times_us, block.values.tobytes()])
    assert block_of_bytes(packed).points() == block.points()


def test_series_rest_in_little_more_than_their_values() -> None:
    points = [MetricPoint(f"key {n // 1000}", n / 7, n % 1000, 1_700_000_000_000_000 + n // 1000) for n in range(5_000)]
    assert len(block_of_points(points).to_bytes()) < 8.1 * len(points)


def test_points_of_a_training_rest_in_half_the_bytes_that_they_travel_in() -> None:
    points = [MetricPoint(f"key {n % 10}", n / 7, n // 10, 1_700_000_000_000_000 + n * 100) for n in range(5_000)]
    assert len(block_of_points(points).to_bytes()) < 16 * len(points)
