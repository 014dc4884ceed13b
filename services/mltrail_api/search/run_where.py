"""Which runs a search is for: the conditions on them, and what is known of how many may fulfil each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, and_

from mltrail_api.search.placement import Placement
from mltrail_api.search.run_conditions import RunCondition

_JOINED_SIZES = 4
"""A condition that at most so many times as many runs fulfil as the rarest is joined with it; one that more fulfil is
asked for each run that is left: looking a row up costs as much as walking past so many."""
_CANDIDATES_A_ROW = {"postgresql": 30, "sqlite": 4}
"""Walking past a run, whose conditions are looked up, costs as much as so many candidates read from an index and
intersected: measured with 100,000 runs as 7 beside 0.24 µs on PostgreSQL, and 4.1 beside 1.1 µs on SQLite."""
_MAX_JOINED = 10
"""Conditions: SQLite joins 500 sets at most."""


@dataclass(frozen=True, slots=True)
class Where:
    """Which runs are searched.

    Attributes:
        placement: in which experiments.
        conditions: what the runs have to fulfil; the first is about their lifecycle, which most of them do.
        uncounted: those of them of which it is not known how many runs may fulfil them.
        rare: those of them that few may fulfil, with their number, the rarest first.
    """

    placement: Placement
    conditions: tuple[RunCondition, ...]
    uncounted: tuple[RunCondition, ...]
    rare: tuple[tuple[int, RunCondition], ...] = ()

    @property
    def is_filtered(self) -> bool:
        """Whether there is more to fulfil than a lifecycle."""
        return len(self.conditions) > 1

    def under(self, condition: RunCondition) -> Where:
        """Return those of the runs that fulfil one more condition."""
        return replace(self, conditions=(*self.conditions, condition), uncounted=(condition,))

    def rows_of_sets(self, dialect: str) -> float:
        """How many rows can be walked past for what it costs to find all runs by `sets`, as far as is known."""
        sets = self.sets()
        candidates = sum(count for count, condition in self.rare if _is_among(condition, sets))
        if not candidates:
            return math.inf
        # Of a set that stands alone, the other conditions are looked up for each run, as on a walk.
        has_others = len(sets) == 1 and len(self.conditions) > 2
        return candidates if has_others else candidates / _CANDIDATES_A_ROW[dialect]

    def without_counts(self) -> Where:
        """Return the same runs, of whose conditions none is known to be rare; but the rarest are asked first."""
        return replace(self, conditions=tuple(self._rare_first()), uncounted=(), rare=())

    def _rare_first(self) -> list[RunCondition]:
        first = [condition for _, condition in self.rare]
        return [*first, *(condition for condition in self.conditions if not _is_among(condition, first))]

    def holds(self) -> ColumnElement[bool]:
        """Return all conditions as one, the rare ones first."""
        return and_(*self.ordered())

    def ordered(
        self, found: Sequence[RunCondition] = (), run_id: ColumnElement[str] | None = None
    ) -> list[ColumnElement[bool]]:
        """Return all conditions, the rare ones first, but for those by which the runs are found anyway.

        Args:
            run_id: of the runs found; what can be told of it alone is, before the run itself is looked up.
        """
        asked = [each for each in self._rare_first() if not (each.is_exact and _is_among(each, found))]
        told = [None if run_id is None else condition.holds_for(run_id) for condition in asked]
        return [
            *(condition for condition in told if condition is not None),
            self.placement.holds,
            *(condition.holds for condition, is_told in zip(asked, told, strict=True) if is_told is None),
        ]

    def sets(self) -> list[RunCondition]:
        """Return the conditions whose candidates are best looked up together, as sets of ids.

        Those of the rarest and of what is about as rare; where none is rare, of all that an index tells exactly.
        """
        if self.rare:
            most = _JOINED_SIZES * self.rare[0][0]
            return [condition for count, condition in self.rare if count <= most][:_MAX_JOINED]
        return [each for each in self.conditions if each.candidates is not None and each.is_exact][:_MAX_JOINED]


def _is_among(condition: RunCondition, others: Sequence[RunCondition]) -> bool:
    return any(condition is other for other in others)  # comparing SQL makes SQL
