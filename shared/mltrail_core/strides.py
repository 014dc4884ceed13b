"""Columns of whole numbers that mostly go on by equal strides, as the keys, steps and times of a training do.

A `log_series` has one key and time, and each step is one more than that before it; a `log_metrics` has each key after
the other, at one step and time. Their differences are few runs of equal numbers, whatever the numbers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

InStrides = tuple[int, bytes, bytes]
"""The first number, then the strides (int64) and how often each is taken (uint32), both little-endian."""

_STRIDE, _COUNT = np.dtype("<i8"), np.dtype("<u4")
_TRIED_NUMBERS = 256
_NUMBERS_A_RUN = 16
"""A run of equal strides has at least so many on average: three quarters of a byte a number at most."""


def in_strides(column: npt.NDArray[np.int64] | npt.NDArray[np.uint32]) -> InStrides | None:
    """Return the column, of at least 3 numbers, in strides, or None when they change too often to save bytes."""
    if len(column) > 2 * _TRIED_NUMBERS and in_strides(column[:_TRIED_NUMBERS]) is None:
        return None  # without a look at the rest
    strides = column[1:] - column[:-1]  # modulo 2**64, or 2**32
    starts = np.flatnonzero(np.r_[True, strides[1:] != strides[:-1]])
    if len(starts) * _NUMBERS_A_RUN > len(column):
        return None
    counts = np.diff(np.r_[starts, len(strides)])
    return int(column[0]), strides[starts].astype(_STRIDE).tobytes(), counts.astype(_COUNT).tobytes()


def out_of_strides(first: int, strides: bytes, counts: bytes, full: np.dtype[np.generic]) -> bytes:
    """Return the bytes of the column, of numbers of type `full`, that `in_strides` gave."""
    taken = np.frombuffer(strides, dtype=_STRIDE).astype(full)
    often = np.frombuffer(counts, dtype=_COUNT)
    column = np.empty(1 + int(often.sum()), dtype=full)
    column[0] = first
    column[1:] = np.repeat(taken, often)
    return np.cumsum(column, dtype=full, out=column).tobytes()
