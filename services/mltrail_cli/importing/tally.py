"""Counts of an import: what the source has, and how much of it the target does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, get_args

from mltrail_core.events import (
    AliasSet,
    DatasetInputLogged,
    Event,
    ExperimentTagSet,
    LoggedModelParamLogged,
    LoggedModelTagSet,
    MetricsLogged,
    ModelInputLogged,
    ModelOutputLogged,
    ModelVersionCreated,
    ModelVersionTagSet,
    ParamLogged,
    RegisteredModelCreated,
    RegisteredModelTagSet,
    TagSet,
)

Kind = Literal[
    "experiments",
    "runs",
    "params",
    "points",
    "tags",
    "datasets",
    "model inputs and outputs",
    "logged models",
    "logged model metrics",
    "artifacts",
    "artifact bytes",
    "registered models",
    "model versions",
    "aliases",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

_KIND_OF: dict[type[Event], Kind] = {
    ParamLogged: "params",
    LoggedModelParamLogged: "params",
    TagSet: "tags",
    ExperimentTagSet: "tags",
    LoggedModelTagSet: "tags",
    RegisteredModelTagSet: "tags",
    ModelVersionTagSet: "tags",
    AliasSet: "aliases",
    DatasetInputLogged: "datasets",
    ModelInputLogged: "model inputs and outputs",
    ModelOutputLogged: "model inputs and outputs",
}


@dataclass(slots=True)
class Tally:
    """What one walk over the source found. `problems` say what could not be imported, and why."""

    source: Counter[Kind] = field(default_factory=Counter)
    missing: Counter[Kind] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def count(self, kind: Kind, number: int = 1) -> None:
        """The source has so many more."""
        self.source[kind] += number

    def lacks(self, kind: Kind, number: int = 1) -> None:
        """The target lacks so many of them, or has them otherwise."""
        self.missing[kind] += number

    def watch(self, subject: Kind, events: Iterable[Event]) -> Iterator[Event]:
        """Pass the events on that would complete one thing of the kind `subject`, counting what they stand for.

        Points are counted by who compares them.
        """
        is_lacking = False
        for event in events:
            kind = _KIND_OF.get(type(event))
            if isinstance(event, RegisteredModelCreated | ModelVersionCreated):
                self.lacks("tags", len(event.tags))
            if kind is not None:
                self.lacks(kind)
            elif not isinstance(event, MetricsLogged) and not is_lacking:
                is_lacking = True
                self.lacks(subject)
            yield event

    def here(self, kind: Kind) -> int:
        """Return how many of the source's the target has, with the same values."""
        return self.source[kind] - self.missing[kind]

    @property
    def is_complete(self) -> bool:
        """Whether the target has all that the source has."""
        return not self.problems and not any(self.missing.values())
