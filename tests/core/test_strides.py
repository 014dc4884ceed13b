"""Columns in strides come back bit by bit, and only what saves bytes is put so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrail_core.strides import in_strides, out_of_strides

_STRETCHES = st.lists(
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1), st.integers(1, 9000)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=50)
@given(_STRETCHES, st.sampled_from(["<i8", "<u4"]))
def test_a_column_comes_back_whatever_its_strides(stretches: list[tuple[int, int, int]], dtype: str) -> None:
    with np.errstate(over="ignore"):
        parts = [
            np.array(first, "<i8") + np.array(stride, "<i8") * np.arange(count, dtype="<i8")
            for first, stride, count in stretches
        ]
        column = np.concatenate([*parts, parts[0][:1].repeat(100)]).astype(dtype)
    strides = in_strides(column)
    if len(column) > 600:
        assert strides is None or len(strides[1]) // 8 * 16 <= len(column)
    if strides is not None:
        assert out_of_strides(*strides, np.dtype(dtype)) == column.tobytes()


@pytest.mark.parametrize("count", [3, 60, 511, 512, 513, 1000])
def test_strides_that_change_anywhere_about_the_end_come_back(count: int) -> None:
    for change in range(max(1, count - 4), count):
        column = np.arange(count, dtype="<i8")
        column[change:] += 7
        strides = in_strides(column)
        assert strides is None if count == 3 else strides is not None
        if strides is not None:
            assert out_of_strides(*strides, np.dtype("<i8")) == column.tobytes()


def test_series_of_a_training_need_next_to_nothing() -> None:
    column = np.tile(np.arange(1000, dtype="<i8"), 50)
    strides = in_strides(column)
    assert strides is not None
    assert len(strides[1]) + len(strides[2]) < 0.03 * len(column)


def test_numbers_that_jitter_are_left_alone() -> None:
    random = np.random.default_rng(7)
    jittering = np.cumsum(random.integers(1, 1000, 50_000))
    assert in_strides(jittering) is None
    assert in_strides(np.concatenate([np.arange(300), jittering])) is None
