"""What a native filter says: MLflow's comparisons and some of ours, under AND, OR and NOT.

Every leaf is true or false of a run, never unknown: what a run lacks makes a comparison false, so NOT makes it true.
"""

from __future__ import annotations

from dataclasses import dataclass

from mltrail_api.search.expression import Column, Comparison
from mltrail_api.search.native.pattern import Pattern


@dataclass(frozen=True, slots=True)
class Matching:
    """Whether the text of `column` holds a match of a regular expression, or is there and holds none."""

    column: Column
    pattern: Pattern
    is_negated: bool


@dataclass(frozen=True, slots=True)
class Unlike:
    """Whether the text of `column` is there and not like a pattern: NOT LIKE, NOT ILIKE."""

    column: Column
    pattern: str
    folds_case: bool


@dataclass(frozen=True, slots=True)
class NumberMembership:
    """Whether a number of a metric is one of `values`, or is there and none of them; NaN is none."""

    column: Column
    values: tuple[float, ...]
    is_negated: bool


@dataclass(frozen=True, slots=True)
class NotANumber:
    """Whether a number of a metric is NaN, or is there and not NaN."""

    column: Column
    is_nan: bool


@dataclass(frozen=True, slots=True)
class All:
    """Holds where every part holds; an empty one holds everywhere."""

    parts: tuple[NativeExpression, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Holds where at least one part holds."""

    parts: tuple[NativeExpression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Holds where its part does not."""

    part: NativeExpression


Leaf = Comparison | Matching | Unlike | NumberMembership | NotANumber
NativeExpression = Leaf | All | AnyOf | Not
