"""Sets of integers kept as sorted, disjoint, inclusive intervals: which sequences of a producer were received."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from mltrail_core.errors import Invalid


@dataclass(frozen=True, slots=True)
class IntervalSet:
    """An immutable set of integers, e.g. {1..41, 43}; neighbours are merged, so equal sets are equal values."""

    intervals: tuple[tuple[int, int], ...] = ()

    def __contains__(self, number: int) -> bool:
        position = bisect_right(self.intervals, number, key=lambda interval: interval[0])
        return position > 0 and number <= self.intervals[position - 1][1]

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.intervals)

    def add(self, number: int) -> IntervalSet:
        """Return the set with `number` in it."""
        if number in self:
            return self
        position = bisect_right(self.intervals, number, key=lambda interval: interval[0])
        first, last = number, number
        start, end = position, position
        if position > 0 and self.intervals[position - 1][1] == number - 1:
            start, first = position - 1, self.intervals[position - 1][0]
        if position < len(self.intervals) and self.intervals[position][0] == number + 1:
            end, last = position + 1, self.intervals[position][1]
        return IntervalSet((*self.intervals[:start], (first, last), *self.intervals[end:]))

    def missing(self, last: int) -> IntervalSet:
        """Return the numbers of 1..`last` that are not in the set."""
        holes, expected = [], 1
        for first, end in self.intervals:
            if first > expected:
                holes.append((expected, min(first - 1, last)))
            expected = max(expected, end + 1)
            if expected > last:
                break
        if expected <= last:
            holes.append((expected, last))
        return IntervalSet(tuple(holes))

    def __str__(self) -> str:
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in self.intervals)


def parse_intervals(text: str) -> IntervalSet:
    """Return the set that `str` wrote, such as `"1-41,43"`.

    Raises:
        Invalid: the text is not of that form.
    """
    if not text:
        return IntervalSet()
    intervals = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.isdigit() or not (last or first).isdigit():
            raise Invalid(f"{part!r} is not an interval; expected '7' or '7-12'")
        intervals.append((int(first), int(last or first)))
    return IntervalSet(tuple(intervals))
