"""`/api/v1/metrics/statistics`: one metric over groups of runs, on a common grid of steps (`series.grid`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from mltrail_api.mlflow.wire import json_bytes
from mltrail_api.series.grid import Grid, Statistics, grid_over, statistics_of, voice_of
from mltrail_api.series.queries import Extent, load_extents, load_values
from mltrail_api.services import Services
from mltrail_api.v1.series_query import (
    MAX_INT64,
    MIN_INT64,
    Consistency,
    Name,
    Number,
    consistency_headers,
    freshness_of_runs,
    window_of,
)
from mltrail_core.errors import Invalid
from mltrail_core.series import Window, stream_series

MAX_RUNS = 1000
MAX_CELLS = 1000
MAX_READ_POINTS = 50_000_000
"""Of all runs: statistics read every point, 20 million a second."""

router = APIRouter()
_Int64 = Annotated[int, Field(ge=MIN_INT64, le=MAX_INT64)]
_Runs = Annotated[list[Name], Field(min_length=1, max_length=MAX_RUNS)]
_Cells = list[Number | None]


class RunGroup(BaseModel):
    """Runs whose statistics are asked for together."""

    name: Annotated[str, Field(max_length=1000)]
    run_ids: _Runs


class StatisticsQuestion(BaseModel):
    """One metric of groups of runs, given as `groups`, or as `run_ids` that `group_by` parts by their value of a param
    or tag (`params.lr`, `tags.team`); without it they are one group. At most 1,000 runs in all.

    `cells` is how many parts the steps are cut into, from the first step of any of the runs, or `first_step`, to the
    last one, or `last_step`, both included.
    """

    key: Name
    run_ids: _Runs | None = None
    group_by: Annotated[str, Field(pattern=r"^(params|tags)\.[^\x00]+$", max_length=1000)] | None = None
    groups: Annotated[list[RunGroup], Field(min_length=1, max_length=MAX_RUNS)] | None = None
    first_step: _Int64 | None = None
    last_step: _Int64 | None = None
    cells: Annotated[int, Field(ge=1, le=MAX_CELLS)] = 200


class GroupStatistics(BaseModel):
    """Statistics of one group, a number for each cell; null where none of its runs has a point (`runs` 0).

    A run speaks in a cell with the mean of its values there: `mean`, `std` (of the population: 0 for one run) and
    `median` are over the runs that speak, `runs` says how many these are. `min` and `max` are over all points. NaN is
    left out. `name` is null for runs that lack what was grouped by, and for a group that nobody named.
    """

    name: str | None
    run_ids: list[str]
    runs: list[int]
    mean: _Cells
    std: _Cells
    min: _Cells
    max: _Cells
    median: _Cells


class SeriesStatistics(BaseModel):
    """Cell i holds the steps `first_steps[i]` to `last_steps[i]`, both included; there are fewer cells than were asked
    for when there are fewer steps. `missing_run_ids`: they are not there, or never logged the key."""

    key: str
    first_steps: list[int]
    last_steps: list[int]
    groups: list[GroupStatistics]
    missing_run_ids: list[str]


@dataclass(frozen=True, slots=True)
class _Group:
    name: str | None
    run_ids: list[str]


@router.post(
    "/metrics/statistics",
    summary="Summarize a metric over groups of runs, step by step",
    response_model=SeriesStatistics,
)
async def read_statistics(
    request: Request, question: StatisticsQuestion, consistency: Consistency = "current"
) -> Response:
    """Answer mean, standard deviation, minimum, maximum and median of each group on a common grid of steps."""
    window = window_of(question.first_step, question.last_step)
    run_ids = _asked_runs(question)
    services: Services = request.app.state.services

    def query(connection: Connection) -> bytes | None:
        extents = {run_id: extent for (run_id, _), extent in load_extents(connection, run_ids, [question.key]).items()}
        if not extents:
            return None
        _refuse_too_many_points(extents, window)
        return json_bytes(_answer(connection, question, run_ids, extents, window))

    seen = await services.visibility.read(query, freshness_of_runs(run_ids, consistency))
    if seen.value is None:
        raise seen.absence(
            f"none of the {len(run_ids)} runs has a metric {question.key[:300]!r}; "
            f"GET /api/v1/runs/{run_ids[0][:64]}/metrics lists those of the first"
        )
    return Response(seen.value, headers=consistency_headers(seen), media_type="application/json")


def _asked_runs(question: StatisticsQuestion) -> list[str]:
    if (question.groups is None) == (question.run_ids is None):
        raise Invalid("give either `groups` or `run_ids`: which runs the statistics are over")
    if question.groups is None:
        return list(dict.fromkeys(question.run_ids or ()))
    if question.group_by is not None:
        raise Invalid("`group_by` parts `run_ids`; `groups` are parted already")
    names = [group.name for group in question.groups]
    if len(set(names)) < len(names):
        raise Invalid(f"two groups have the name {max(names, key=names.count)[:200]!r}; give each its own")
    run_ids = list(dict.fromkeys(run_id for group in question.groups for run_id in group.run_ids))
    if len(run_ids) > MAX_RUNS:
        raise Invalid(f"the groups hold {len(run_ids)} runs; at most {MAX_RUNS} are taken at a time")
    return run_ids


def _answer(
    connection: Connection,
    question: StatisticsQuestion,
    run_ids: list[str],
    extents: Mapping[str, Extent],
    window: Window,
) -> dict[str, object]:
    grid = _grid(extents, window, question.cells)
    window = Window(int(grid.first_steps[0]), int(grid.last_steps[-1]))
    voices = {run_id: voice_of(stream_series(connection, run_id, question.key, window), grid) for run_id in extents}
    groups = []
    for group in _groups(connection, question, run_ids):
        present = [run_id for run_id in dict.fromkeys(group.run_ids) if run_id in extents]
        statistics = statistics_of([voices[run_id] for run_id in present], grid)
        groups.append({"name": group.name, "run_ids": present, **_columns(statistics)})
    return {
        "key": question.key,
        "first_steps": grid.first_steps.tolist(),
        "last_steps": grid.last_steps.tolist(),
        "groups": groups,
        "missing_run_ids": [run_id for run_id in run_ids if run_id not in extents],
    }


def _grid(extents: Mapping[str, Extent], window: Window, cells: int) -> Grid:
    first = min(extent.first_step for extent in extents.values())
    last = max(extent.last_step for extent in extents.values())
    first = first if window.first_step is None else window.first_step
    last = last if window.last_step is None else window.last_step
    return grid_over(first, max(first, last), cells)


def _groups(connection: Connection, question: StatisticsQuestion, run_ids: list[str]) -> list[_Group]:
    if question.groups is not None:
        return [_Group(group.name, group.run_ids) for group in question.groups]
    if question.group_by is None:
        return [_Group(None, run_ids)]
    noun, key = question.group_by.split(".", 1)
    values = load_values(connection, run_ids, noun, key)
    of_value: dict[str | None, list[str]] = {}
    for run_id in run_ids:
        of_value.setdefault(values.get(run_id), []).append(run_id)
    return [_Group(value, of_value[value]) for value in sorted(of_value, key=_numbers_first)]


def _numbers_first(value: str | None) -> tuple[int, float, str]:
    """Return what sorts values as people read them: numbers by size, then texts, then runs without one."""
    if value is None:
        return (2, 0.0, "")
    try:
        number = float(value)
    except ValueError:
        return (1, 0.0, value)
    return (1, 0.0, value) if math.isnan(number) else (0, number, value)


def _columns(statistics: Statistics) -> dict[str, object]:
    is_silent = statistics.runs == 0
    columns: dict[str, object] = {"runs": statistics.runs.tolist()}
    for name in ("mean", "std", "min", "max", "median"):
        values = getattr(statistics, name).astype(object)
        values[is_silent] = None
        columns[name] = values.tolist()
    return columns


def _refuse_too_many_points(extents: Mapping[str, Extent], window: Window) -> None:
    points = sum(_points_within(extent, window) for extent in extents.values())
    if points > MAX_READ_POINTS:
        raise Invalid(
            f"the {len(extents)} runs have about {points} points there, and statistics read each; at most "
            f"{MAX_READ_POINTS} are read at a time: ask for fewer runs, or for less with first_step and last_step"
        )


def _points_within(extent: Extent, window: Window) -> int:
    """Return about how many points of a series are within the window, as if they lay evenly over its steps."""
    first = extent.first_step if window.first_step is None else max(extent.first_step, window.first_step)
    last = extent.last_step if window.last_step is None else min(extent.last_step, window.last_step)
    return extent.logged_points * max(0, last - first + 1) // (extent.last_step - extent.first_step + 1)
