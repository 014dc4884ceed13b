"""A chart of a series in a few lines of text: Braille signs, which have two by four dots each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mltrail_core.series import Series

_EMPTY = 0x2800
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""Of a sign's dots, row by row."""

Ints = npt.NDArray[np.int64]


def chart_lines(series: Series, columns: int, rows: int) -> list[str]:
    """Return `rows` lines of `columns` signs: a line through the finite values over their steps, the greatest on top.

    Without two different steps or a finite value there is nothing to draw, and no lines.
    """
    is_finite = np.isfinite(series.values)
    if not is_finite.any() or series.steps[0] == series.steps[-1]:
        return []
    across, up = 2 * columns, 4 * rows
    places = _scaled(series.steps.astype(np.float64), across)[is_finite]
    heights = up - 1 - _scaled(series.values[is_finite], up)
    drawn = np.zeros((up, across), dtype=np.bool_)
    drawn[heights, places] = True
    for left, right, start, end in zip(places, places[1:], heights, heights[1:], strict=False):
        width = int(right - left)
        line = np.rint(np.linspace(start, end, width + 1)).astype(np.int64)
        for offset in range(width + 1):
            before = int(line[max(0, offset - 1)]) if width else int(start)
            here = int(line[offset]) if width else int(end)
            drawn[min(before, here) : max(before, here) + 1, left + offset] = True
    signs = np.einsum("rucl,ul->rc", drawn.reshape(rows, 4, columns, 2), _BITS) + _EMPTY
    return ["".join(map(chr, row)) for row in signs.tolist()]


def _scaled(numbers: npt.NDArray[np.float64], size: int) -> Ints:
    """Return the numbers as places from 0 to size - 1; halved first, since a difference may be too large."""
    least, greatest = numbers.min() / 2, numbers.max() / 2
    if least == greatest:
        return np.full(len(numbers), size // 2, dtype=np.int64)
    places: Ints = np.rint((numbers / 2 - least) / (greatest - least) * (size - 1)).astype(np.int64)
    return places
