"""Which of a metric's chunks are made anew together with which fresh points, decided without reading any chunk.

Every chunk is rewritten a few times in its life, not with every compaction: a chunk that is full is left alone unless
points came into it, and others only grow by what is not much smaller than they are, as in a log-structured merge tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mltrail_core.series.chunk import CHUNK_POINTS
from mltrail_core.series.series import Series
from mltrail_core.series.spans import Span, place_of

FULL_POINTS = CHUNK_POINTS // 2
"""A chunk with as many does not grow any more."""
MOST_REWRITTEN = 64
"""Chunks are made anew for points that came into them only if there is one such point for so many in the chunks."""
MOST_CHUNKS_TOUCHED = 32
"""So many chunks have points put into them in one transaction; the others wait for the next."""


@dataclass(frozen=True, slots=True)
class Group:
    """Consecutive chunks, from now one series with the fresh points from place `first` to `end`; both may be none."""

    spans: tuple[Span, ...]
    first: int
    end: int
    is_touched: bool

    @property
    def size(self) -> int:
        """How many points there are, duplicates among the fresh ones not known."""
        return sum(span.point_count for span in self.spans) + self.end - self.first


@dataclass(frozen=True, slots=True)
class Plan:
    """The groups to make anew. Fresh points in none of them wait; `has_more`: because there was too much to do."""

    groups: tuple[Group, ...]
    has_more: bool


def plan_chunks(fresh: Series, spans: Sequence[Span], min_points: int) -> Plan:
    """Return what to make of a metric's fresh points, which are in order, and its chunks.

    Afterwards no chunk has points between those of another: points are put into the chunk after whose first point they
    stand, and new chunks are made only of those before the first chunk and after the last.

    Args:
        min_points: fewer points than these are no new chunk.
    """
    if not spans:
        worth = len(fresh) >= min_points
        return Plan((Group((), 0, len(fresh), is_touched=True),) if worth else (), has_more=False)
    starts = [place_of(fresh, span.first_step, span.first_us) for span in spans]
    end_of_last = place_of(fresh, spans[-1].last_step, spans[-1].last_us, is_after=True)
    before = Group((), 0, starts[0], starts[0] >= min_points)
    after = Group((), end_of_last, len(fresh), len(fresh) - end_of_last >= min_points)
    ends = [*starts[1:], end_of_last]
    inner = [Group((span,), first, end, False) for span, first, end in zip(spans, starts, ends, strict=True)]
    inner, has_more = _touched(inner)
    groups = _coalesced([before, *inner, after])
    return Plan(tuple(group for group in groups if group.is_touched), has_more)


def waiting(fresh: Series, plan: Plan) -> Series:
    """Return the fresh points that are in no group."""
    is_waiting = np.ones(len(fresh), dtype=np.bool_)
    for group in plan.groups:
        is_waiting[group.first : group.end] = False
    return fresh.at(np.flatnonzero(is_waiting))


def _touched(inner: list[Group]) -> tuple[list[Group], bool]:
    """Return the chunks with those touched that fresh points are to be put into, and whether others have to wait."""
    receiving = [place for place, group in enumerate(inner) if group.end > group.first]
    fresh_points = sum(inner[place].end - inner[place].first for place in receiving)
    kept_points = sum(inner[place].size for place in receiving) - fresh_points
    if kept_points > MOST_REWRITTEN * fresh_points:
        return inner, False
    receiving.sort(key=lambda place: inner[place].first - inner[place].end)  # those that get most come first
    chosen = set(receiving[:MOST_CHUNKS_TOUCHED])
    touched = [replace(group, is_touched=place in chosen) for place, group in enumerate(inner)]
    return touched, len(receiving) > len(chosen)


def _coalesced(groups: list[Group]) -> list[Group]:
    """Return the groups with neighbours put together where that leaves fewer small chunks for little rewriting."""
    found: list[Group] = []
    for group in groups:
        found.append(group)
        while len(found) > 1 and _belong_together(found[-2], found[-1]):
            right, left = found.pop(), found.pop()
            found.append(Group((*left.spans, *right.spans), left.first, right.end, is_touched=True))
    if len(found) < len(groups):
        return _coalesced(found)  # a group that grew may be large enough for the neighbour on its right
    return found


def _belong_together(left: Group, right: Group) -> bool:
    if left.is_touched and right.is_touched:
        return min(left.size, right.size) < FULL_POINTS
    touched, other = (left, right) if left.is_touched else (right, left)
    # One with nothing in it is a place before the first chunk or after the last where too little came.
    return touched.is_touched and bool(other.spans) and other.size < min(FULL_POINTS, 2 * touched.size + 1)
