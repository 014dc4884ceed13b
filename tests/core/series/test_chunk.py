"""Chunks give back every point as it was logged, and no chunk ends between points of one step and time."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrail_core.errors import Invalid
from mltrail_core.series import joined
from mltrail_core.series.chunk import chunks_of, logged_points_of, points_of
from mltrail_core.series.packing import Numbers, pack, unpack
from mltrail_core.series.series import Series, distinct, in_order

INTS = st.integers(-(2**63), 2**63 - 1)


@settings(max_examples=60)
@given(st.lists(INTS, max_size=60), st.lists(st.floats(), max_size=60))
def test_arrays_come_back_bit_by_bit(ints: list[int], floats: list[float]) -> None:
    arrays: list[Numbers] = [np.array(ints, np.int64), np.array(floats, np.float64)]
    assert [array.tobytes() for array in unpack(pack(arrays))] == [array.tobytes() for array in arrays]


def test_arrays_that_compression_can_not_help_rest_as_they_are() -> None:
    random = np.random.default_rng(1).integers(-(2**63), 2**63 - 1, 1000)
    assert len(pack([random])) < 8 * 1000 + 20
    assert unpack(pack([random]))[0].tolist() == random.tolist()
    assert len(pack([np.arange(1000)])) < 200


def test_arrays_packed_by_a_later_version_are_refused() -> None:
    with pytest.raises(Invalid, match="does not know"):
        unpack(b"\x91\x93\x07\xa1i\xc4\x01\x00")


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 2), st.sampled_from([0.0, -0.0, 1.0, math.nan, -math.nan])),
        min_size=1,
        max_size=90,
    )
)
def test_chunks_give_back_what_was_logged(points: list[tuple[int, int, float]]) -> None:
    steps, times_us, values = (np.array(column) for column in zip(*points, strict=True))
    logged = in_order(steps, times_us, values.astype(np.float64))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("mltrail_core.series.chunk.CHUNK_POINTS", 8)
        chunks = chunks_of(logged)
    assert bits(joined([logged_points_of(chunk.columns) for chunk in chunks])) == bits(logged)
    assert bits(joined([points_of(chunk.columns) for chunk in chunks])) == bits(distinct(logged))
    assert sum(chunk.point_count for chunk in chunks) == len(distinct(logged))
    for one, other in pairwise(chunks):
        assert (one.last_step, one.last_us) < (other.first_step, other.first_us)


def bits(series: Series) -> list[list[int]]:
    return [series.steps.tolist(), series.times_us.tolist(), series.values.view(np.int64).tolist()]
