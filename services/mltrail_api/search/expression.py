"""What a filter says, after parsing and before SQL: values that no database or grammar shows in.

A filter is an `Expression`. MLflow's grammar makes only an `And` of comparisons; more kinds of nodes can join later.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class ViewType(StrEnum):
    """Which lifecycle stages a search returns; the words of MLflow's API."""

    ACTIVE_ONLY = "ACTIVE_ONLY"
    DELETED_ONLY = "DELETED_ONLY"
    ALL = "ALL"


class Entity(StrEnum):
    """What kind of thing a column of a filter names; the words of MLflow's parser, which knows no models."""

    METRIC = "metric"
    PARAM = "parameter"
    TAG = "tag"
    ATTRIBUTE = "attribute"
    DATASET = "dataset"
    MODEL = "model"


class Comparator(StrEnum):
    """How a value is compared. LIKE knows `%` and `_`, no escapes; ILIKE folds the case of ASCII letters only."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    LIKE = "LIKE"
    ILIKE = "ILIKE"


class Summary(StrEnum):
    """Which number of a metric's series is meant. The steps are those of the first, last, lowest and highest value."""

    LAST = "last"
    FIRST = "first"
    MIN = "min"
    MAX = "max"
    COUNT = "count"
    LAST_STEP = "last_step"
    FIRST_STEP = "first_step"
    MIN_STEP = "min_step"
    MAX_STEP = "max_step"

    @property
    def column_name(self) -> str:
        """The column of `metric_summaries` that holds it."""
        if self is Summary.COUNT:
            return "logged_points"
        return self.value if self.is_whole else f"{self.value}_value"

    @property
    def is_whole(self) -> bool:
        """Whether it is a whole number, a count or a step, and no value."""
        return self is Summary.COUNT or self.value.endswith("_step")


@dataclass(frozen=True, slots=True)
class Column:
    """A named thing of a run or experiment: `metrics.acc`, `` tags.`a b` ``, `start_time` (aliases are resolved).

    `summary` says which number of a metric; MLflow knows the last one only.
    """

    entity: Entity
    key: str
    summary: Summary = Summary.LAST


@dataclass(frozen=True, slots=True)
class TextComparison:
    """The text of `column` against one value; false where the run has no such param, tag or dataset."""

    column: Column
    comparator: Comparator
    value: str


@dataclass(frozen=True, slots=True)
class NumberComparison:
    """The latest value of a metric, or a time in ms, against a number; NaN only answers to `!=`."""

    column: Column
    comparator: Comparator
    value: int | float


@dataclass(frozen=True, slots=True)
class Membership:
    """Whether the text of `column` is one of `values`, or none of them."""

    column: Column
    values: tuple[str, ...]
    is_negated: bool


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether the run or experiment has a param or tag at all: IS NOT NULL, or IS NULL."""

    column: Column
    is_present: bool


@dataclass(frozen=True, slots=True)
class And:
    """Holds where every part holds; an empty one holds everywhere."""

    parts: tuple[Expression, ...] = field(default=())


Comparison = TextComparison | NumberComparison | Membership | Presence
Expression = Comparison | And


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """One column to sort by; what has no value comes last in either direction."""

    column: Column
    is_ascending: bool
