"""Metric summaries in columns: worked out from blocks and merged with what is known, for all runs of a batch at once.

A summary does not depend on how points were split into batches: last and first are by (step, time, value), with NaN
below every number; minimum and maximum leave NaN out and name the first step that has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from mltrail_core.metric_block import MetricBlock

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Cell = str | int | float | bytes | None
SummaryKey = tuple[str, str]
"""Run id and metric key."""

_GREATEST = np.iinfo(np.int64).max
_POINTS_OF_STRETCH = 16
"""Where so many neighbours have one key, as by series, each stretch is summed up where it lies."""
_PIECE_POINTS = 8192
"""So many are summed up at once, unless they have many keys: larger columns leave the cache between two looks at them,
and each time the kernel has to find pages for them."""


@dataclass(frozen=True, slots=True)
class Summaries:
    """n summaries of different keys; columns of length n, named and ordered as those of `metric_summaries`.

    A value is NaN when every value was; then `min_step` and `max_step` mean nothing.
    """

    keys: Sequence[SummaryKey]
    logged_points: Ints
    last_step: Ints
    last_time_us: Ints
    last_value: Floats
    first_step: Ints
    first_time_us: Ints
    first_value: Floats
    min_value: Floats
    min_step: Ints
    max_value: Floats
    max_step: Ints

    def rows(self) -> list[tuple[Cell, ...]]:
        """Return the rows of `metric_summaries`, in the order of their primary keys; None stands for NaN."""
        columns: list[list[Cell]] = [[run_id for run_id, _ in self.keys], [key for _, key in self.keys]]
        for column in fields(self)[1:]:
            array = getattr(self, column.name)
            columns.append(_cells(array))
        for value, step in ((self.min_value, "min_step"), (self.max_value, "max_step")):
            number = 1 + _NUMBER_OF[step]
            for place in np.flatnonzero(np.isnan(value)).tolist():
                columns[number][place] = None
        return sorted(zip(*columns, strict=True), key=_primary_key)


_NUMBER_OF = {column.name: number for number, column in enumerate(fields(Summaries))}


def summaries_of_rows(rows: Sequence[Sequence[Cell]]) -> Summaries:
    """Return the summaries that rows of `metric_summaries` hold, in their order."""
    run_ids, keys, *columns = zip(*rows, strict=True) if rows else [()] * (1 + len(_NUMBER_OF))
    arrays: list[npt.NDArray[np.int64] | npt.NDArray[np.float64]] = []
    for column, cells in zip(fields(Summaries)[1:], columns, strict=True):
        if column.name.endswith("_value"):
            arrays.append(np.array(cells, dtype=np.float64))  # None becomes NaN
        else:
            arrays.append(np.array([0 if cell is None else cell for cell in cells], dtype=np.int64))
    return Summaries(list(zip(run_ids, keys, strict=True)), *arrays)  # type: ignore[arg-type]  # by the columns' names


def summarize(blocks: Mapping[str, MetricBlock]) -> Summaries:
    """Return the summaries of all keys that have points in the blocks of these runs."""
    names = [(run_id, key) for run_id, block in blocks.items() for key in block.keys]
    starts_of_runs = np.cumsum([0, *(len(block.keys) for block in blocks.values())])[:-1]
    pieces: list[Summaries] = []
    numbers_of: list[Ints] = []
    small: list[tuple[Ints, MetricBlock]] = []
    for block, first_number in zip(blocks.values(), starts_of_runs, strict=True):
        if len(block) < _PIECE_POINTS or len(block.keys) * _POINTS_OF_STRETCH > _PIECE_POINTS:
            small.append((block.key_indices + first_number, block))
            continue
        for first in range(0, len(block), _PIECE_POINTS):
            piece = slice(first, first + _PIECE_POINTS)
            columns = (block.steps[piece], block.times_us[piece], block.values[piece])
            its_numbers, summaries = _of_points(names, block.key_indices[piece] + first_number, *columns)
            pieces.append(summaries)
            numbers_of.append(its_numbers)
    if small:
        its_numbers, summaries = _of_points(
            names,
            np.concatenate([numbers for numbers, _ in small]),
            np.concatenate([block.steps for _, block in small]),
            np.concatenate([block.times_us for _, block in small]),
            np.concatenate([block.values for _, block in small]),
        )
        pieces.append(summaries)
        numbers_of.append(its_numbers)
    numbers = np.concatenate(numbers_of)
    if len(np.unique(numbers)) == len(numbers):
        return _end_to_end(pieces)
    return _put_together(_end_to_end(pieces), numbers)


def _of_points(
    names: Sequence[SummaryKey], numbers: Ints, steps: Ints, times_us: Ints, values: Floats
) -> tuple[Ints, Summaries]:
    """Return the summaries of points, and the numbers of their keys; where neighbours have one key, several of one."""
    values = values + 0.0  # makes -0.0 to 0.0, as SQLite
    starts = _starts(numbers)
    if len(starts) * _POINTS_OF_STRETCH > len(numbers):
        # Two bytes are sorted by radix, in a pass or two.
        order = np.argsort(numbers.astype(np.uint16) if len(names) <= 1 << 16 else numbers, kind="stable")
        numbers, steps, times_us, values = numbers[order], steps[order], times_us[order], values[order]
        starts = _starts(numbers)
    its_numbers = numbers[starts]
    return its_numbers, _of_groups([names[number] for number in its_numbers.tolist()], starts, steps, times_us, values)


def _end_to_end(pieces: Sequence[Summaries]) -> Summaries:
    keys = [key for piece in pieces for key in piece.keys]
    columns = (np.concatenate([getattr(one, column.name) for one in pieces]) for column in fields(Summaries)[1:])
    return Summaries(keys, *columns)


def _starts(numbers: Ints) -> Ints:
    return np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]])


def _of_groups(keys: Sequence[SummaryKey], starts: Ints, steps: Ints, times_us: Ints, values: Floats) -> Summaries:
    """Return the summary of each group of neighbouring points, which begin at `starts`."""
    counts = np.diff(np.r_[starts, len(values)])
    of = np.repeat(np.arange(len(starts)), counts)
    last = _outermost(of, steps == np.maximum.reduceat(steps, starts)[of], times_us, values, is_last=True)
    first = _outermost(of, steps == np.minimum.reduceat(steps, starts)[of], times_us, values, is_last=False)
    lowest, highest = np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)
    return Summaries(
        keys,
        counts,
        steps[last],
        times_us[last],
        values[last],
        steps[first],
        times_us[first],
        values[first],
        lowest,
        np.minimum.reduceat(np.where(values == lowest[of], steps, _GREATEST), starts),
        highest,
        np.minimum.reduceat(np.where(values == highest[of], steps, _GREATEST), starts),
    )


def _put_together(stretches: Summaries, numbers: Ints) -> Summaries:
    """Return one summary of each key from those of its stretches; `numbers` are those of their keys.

    Sorting them instead of their points spares all but a few of a thousand.
    """
    of = stretches
    order = np.argsort(numbers, kind="stable")
    starts = _starts(numbers[order])
    ends = np.r_[starts[1:], len(order)] - 1
    is_nan = np.isnan(of.last_value)
    last = np.lexsort((np.where(is_nan, 0.0, of.last_value), ~is_nan, of.last_time_us, of.last_step, numbers))[ends]
    is_nan = np.isnan(of.first_value)
    by_first = (np.where(is_nan, 0.0, of.first_value), ~is_nan, of.first_time_us, of.first_step, numbers)
    first = np.lexsort(by_first)[starts]
    lowest = np.lexsort((of.min_step, of.min_value, numbers))[starts]  # NaN comes last
    highest = np.lexsort((of.max_step, -of.max_value, numbers))[starts]
    return Summaries(
        [of.keys[place] for place in order[starts].tolist()],
        np.add.reduceat(of.logged_points[order], starts),
        of.last_step[last],
        of.last_time_us[last],
        of.last_value[last],
        of.first_step[first],
        of.first_time_us[first],
        of.first_value[first],
        of.min_value[lowest],
        of.min_step[lowest],
        of.max_value[highest],
        of.max_step[highest],
    )


def merge(fresh: Summaries, known: Summaries) -> Summaries:
    """Return the summaries of `fresh`, each merged with that of the same key in `known`, whose keys `fresh` all has.

    Which of two summaries is called fresh makes no difference.
    """
    if not known.keys:
        return fresh
    place_of = {key: place for place, key in enumerate(fresh.keys)}
    at = np.array([place_of[key] for key in known.keys])
    merged = {column.name: getattr(fresh, column.name).copy() for column in fields(Summaries)[1:]}
    merged["logged_points"][at] += known.logged_points
    is_last = _is_after(
        (known.last_step, known.last_time_us, known.last_value),
        (fresh.last_step[at], fresh.last_time_us[at], fresh.last_value[at]),
    )
    is_first = _is_after(
        (fresh.first_step[at], fresh.first_time_us[at], fresh.first_value[at]),
        (known.first_step, known.first_time_us, known.first_value),
    )
    is_lowest = _goes_further((known.min_value, known.min_step), (fresh.min_value[at], fresh.min_step[at]))
    is_highest = _goes_further((-known.max_value, known.max_step), (-fresh.max_value[at], fresh.max_step[at]))
    for chosen, names in (
        (is_last, ("last_step", "last_time_us", "last_value")),
        (is_first, ("first_step", "first_time_us", "first_value")),
        (is_lowest, ("min_value", "min_step")),
        (is_highest, ("max_value", "max_step")),
    ):
        for name in names:
            merged[name][at[chosen]] = getattr(known, name)[chosen]
    return Summaries(fresh.keys, **merged)


def _outermost(of: Ints, is_candidate: Flags, times_us: Ints, values: Floats, *, is_last: bool) -> Ints:
    """Return, for each key, the place of its last (or first) point among the candidates, which have one step.

    Mostly there is one candidate a key; only of several are times and values compared.
    """
    candidates = np.flatnonzero(is_candidate)
    its_key = of[candidates]
    is_new = its_key[1:] != its_key[:-1]
    if not is_new.all():
        its_values = values[candidates]
        is_nan = np.isnan(its_values)
        order = np.lexsort((np.where(is_nan, 0.0, its_values), ~is_nan, times_us[candidates], its_key))
        candidates = candidates[order]  # still key by key, so `is_new` holds
    return candidates[np.r_[is_new, True] if is_last else np.r_[True, is_new]]


def _is_after(one: tuple[Ints, Ints, Floats], other: tuple[Ints, Ints, Floats]) -> Flags:
    """Return where `one` stands after `other` by (step, time, value), NaN below every number."""
    greater = (one[2] > other[2]) | (np.isnan(other[2]) & ~np.isnan(one[2]))
    later: Flags = (one[1] > other[1]) | ((one[1] == other[1]) & greater)
    further: Flags = (one[0] > other[0]) | ((one[0] == other[0]) & later)
    return further


def _goes_further(one: tuple[Floats, Ints], other: tuple[Floats, Ints]) -> Flags:
    """Return where the value of `one` is lower, or as low at an earlier step; NaN is no value."""
    lower: Flags = (one[0] < other[0]) | (np.isnan(other[0]) & ~np.isnan(one[0]))
    further: Flags = lower | ((one[0] == other[0]) & (one[1] < other[1]))
    return further


def _cells(array: Ints | Floats) -> list[Cell]:
    cells: list[Cell] = array.tolist()
    if array.dtype.kind == "f":
        for place in np.flatnonzero(np.isnan(array)).tolist():
            cells[place] = None
    return cells


def _primary_key(row: tuple[Cell, ...]) -> tuple[Cell, ...]:
    return row[:2]
