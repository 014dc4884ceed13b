"""Many points at once: any buffer or sequence becomes metric blocks of a record's size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mltrail._columns import BLOCK_POINTS
from mltrail_core.clock import now_us
from mltrail_core.metric_block import MetricBlock


def series_blocks(key: str, steps: object, values: object, times_us: object = None) -> Iterator[MetricBlock]:
    """Yield the points of one key as blocks; the arrays are checked as a whole before the first.

    Args:
        key: the metric.
        steps: n whole numbers: a list, range, NumPy array, torch tensor or anything with `__array__`.
        values: n numbers, likewise; NaN and ±Infinity are values.
        times_us: n times in µs UTC, or None for now.

    Raises:
        TypeError: something is not a sequence of numbers.
        ValueError: lengths differ, a step is not whole or does not fit 64 bits, or an array is not flat.
    """
    value_array = _numbers(key, "values", values).astype("<f8", copy=False)
    step_array = _whole_numbers(key, "steps", steps)
    if times_us is None:
        time_array = np.full(len(value_array), now_us(), dtype="<i8")
    else:
        time_array = _whole_numbers(key, "times_us", times_us)
    if not len(value_array) == len(step_array) == len(time_array):
        raise ValueError(
            f"metric {key!r}: steps, values and times should have one length, "
            f"found {len(step_array)}, {len(value_array)} and {len(time_array)}"
        )
    return _split(key, step_array, time_array, value_array)


def _split(
    key: str, steps: npt.NDArray[np.int64], times_us: npt.NDArray[np.int64], values: npt.NDArray[np.float64]
) -> Iterator[MetricBlock]:
    for start in range(0, len(values), BLOCK_POINTS):
        part = slice(start, start + BLOCK_POINTS)
        count = len(values[part])
        yield MetricBlock((key,), np.zeros(count, dtype="<u4"), steps[part], times_us[part], values[part])


def _numbers(key: str, what: str, given: object) -> npt.NDArray[np.generic]:
    for step in ("detach", "cpu"):  # torch tensors that carry a gradient or lie on a GPU
        method = getattr(given, step, None)
        if callable(method):
            given = method()
    try:
        array: npt.NDArray[np.generic] = np.asarray(given)
        if array.dtype.kind == "O":  # such as a list of torch scalars; NumPy itself would take None for NaN
            if any(item is None or isinstance(item, str | bytes) for item in array.flat):
                raise TypeError("found None or a text")
            array = array.astype("<f8")
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"metric {key!r}: {what} should be numbers: {error}") from error
    if array.ndim != 1:
        raise ValueError(f"metric {key!r}: {what} should be one-dimensional, found the shape {array.shape}")
    if array.size and array.dtype.kind not in "biuf":
        raise TypeError(f"metric {key!r}: {what} should be numbers, found {array.dtype}")
    return array


def _whole_numbers(key: str, what: str, given: object) -> npt.NDArray[np.int64]:
    array = _numbers(key, what, given)
    if array.dtype.kind == "f":
        floats = array.astype("<f8", copy=False)
        is_whole = np.isfinite(floats) & (np.abs(floats) < 2.0**63) & (floats == np.floor(floats))
        if not is_whole.all():
            place = int(np.argmin(is_whole))
            raise ValueError(
                f"metric {key!r}: {what}[{place}] is {float(floats[place])!r}, expected a whole number of 64 bits"
            )
    elif array.dtype.kind == "u" and array.size and int(array.max()) >= 2**63:
        raise ValueError(f"metric {key!r}: {what} hold {int(array.max())}, which does not fit 64 bits")
    return array.astype("<i8", copy=False)
