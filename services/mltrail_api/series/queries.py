"""Which metrics a run has, with their summaries, from the read model."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from mltrail_core.readmodel.tables import metric_summaries, params, runs, tags

_NEAR = 5
_MAX_COMPARED = 3000
"""Keys that a wrong one is compared with: 20 µs each."""
_BOUND_VALUES = 500
"""In one statement; SQLite binds at most 32,766."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One metric of a run, exact duplicates counted as logged. `first` and `last` are by (step, time, value).

    Minimum and maximum leave NaN out, name the first step that has them, and are None while there is nothing else.
    """

    key: str
    logged_points: int
    first: tuple[float, int, int]
    """Value, step and time."""
    last: tuple[float, int, int]
    min: tuple[float, int] | None
    """Value and step."""
    max: tuple[float, int] | None

    def as_json(self) -> dict[str, object]:
        """Return the summary as it is answered, with a name for each number."""
        extremes = {
            name: None if extreme is None else {"value": extreme[0], "step": extreme[1]}
            for name, extreme in (("min", self.min), ("max", self.max))
        }
        ends = {
            name: {"value": value, "step": step, "time_us": time_us}
            for name, (value, step, time_us) in (("first", self.first), ("last", self.last))
        }
        return {"key": self.key, "logged_points": self.logged_points, **ends, **extremes}


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a series reaches; `logged_points` counts exact duplicates too."""

    first_step: int
    last_step: int
    logged_points: int


def has_run(connection: Connection, run_id: str) -> bool:
    """Return whether there is such a run, of any lifecycle."""
    return connection.execute(select(runs.c.run_id).where(runs.c.run_id == run_id)).first() is not None


def known_runs(connection: Connection, run_ids: Sequence[str]) -> set[str]:
    """Return those of the ids that are ids of runs, of any lifecycle."""
    found: set[str] = set()
    for start in range(0, len(run_ids), _BOUND_VALUES):
        some = run_ids[start : start + _BOUND_VALUES]
        found.update(connection.execute(select(runs.c.run_id).where(runs.c.run_id.in_(some))).scalars())
    return found


def load_summaries(
    connection: Connection, run_id: str, *, prefix: str = "", after: str = "", limit: int | None = None
) -> list[Summary]:
    """Return the metrics of a run whose keys begin with `prefix` and follow `after`, by key, at most `limit`."""
    table = metric_summaries.c
    query = select(metric_summaries).where(table.run_id == run_id, table.key > after).order_by(table.key).limit(limit)
    if prefix:
        query = query.where(*_begins_with(table.key, prefix))
    return [_summary(row) for row in connection.execute(query)]


def load_summary(connection: Connection, run_id: str, key: str) -> Summary | None:
    """Return one metric of a run, or None when it never logged it."""
    table = metric_summaries.c
    row = connection.execute(select(metric_summaries).where(table.run_id == run_id, table.key == key)).first()
    return None if row is None else _summary(row)


def load_extents(connection: Connection, run_ids: Sequence[str], keys: Sequence[str]) -> dict[tuple[str, str], Extent]:
    """Return first step, last step and number of points of each (run, key) that was logged."""
    table = metric_summaries.c
    columns = select(table.run_id, table.key, table.first_step, table.last_step, table.logged_points)
    found: dict[tuple[str, str], Extent] = {}
    for start in range(0, len(run_ids), _BOUND_VALUES):
        some = run_ids[start : start + _BOUND_VALUES]
        for run_id, key, *extent in connection.execute(columns.where(table.run_id.in_(some), table.key.in_(keys))):
            found[run_id, key] = Extent(*extent)
    return found


def load_values(connection: Connection, run_ids: Sequence[str], noun: str, key: str) -> dict[str, str]:
    """Return the value of one of the `params` or `tags` for each run that has it."""
    table = {"params": params, "tags": tags}[noun]
    found: dict[str, str] = {}
    for start in range(0, len(run_ids), _BOUND_VALUES):
        some = run_ids[start : start + _BOUND_VALUES]
        query = select(table.c.run_id, table.c.value).where(table.c.run_id.in_(some), table.c.key == key)
        found.update((run_id, value) for run_id, value in connection.execute(query))
    return found


def near_keys(connection: Connection, run_id: str, key: str) -> list[str]:
    """Return the keys of a run's metrics that are most like `key`, the nearest first."""
    table = metric_summaries.c
    query = select(table.key).where(table.run_id == run_id).order_by(table.key).limit(_MAX_COMPARED)
    known = list(connection.execute(query).scalars())
    return nearest(key, known)


def nearest(word: str, known: Collection[str]) -> list[str]:
    """Return those of `known` that are most like `word`, whatever their case; the first ones when none is."""
    lowered = word.lower()
    of_lowered: dict[str, str] = {}
    for name in known:
        of_lowered.setdefault(name.lower(), name)
    alike = [of_lowered[name] for name in difflib.get_close_matches(lowered, of_lowered, _NEAR, cutoff=0.6)]
    holding = [name for name in known if lowered in name.lower() and name not in alike]
    return [*alike, *holding][:_NEAR] or sorted(known)[:_NEAR]


def _begins_with(column: ColumnElement[str], prefix: str) -> tuple[ColumnElement[bool], ...]:
    # Not LIKE, which takes A for a on SQLite; the range is for the index.
    return column >= prefix, func.substr(column, 1, len(prefix)) == prefix


def _summary(row: Row[Any]) -> Summary:
    return Summary(
        row.key,
        row.logged_points,
        (_number(row.first_value), row.first_step, row.first_time_us),
        (_number(row.last_value), row.last_step, row.last_time_us),
        None if row.min_value is None else (row.min_value, row.min_step),
        None if row.max_value is None else (row.max_value, row.max_step),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else value  # NULL stands for NaN
