"""`/api/v1/metrics/series`: the points of several metrics of several runs in one answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from mltrail_api.series.formats import MEDIA_TYPES, Format, encoded_together, wanted_format
from mltrail_api.series.queries import known_runs, load_extents
from mltrail_api.series.reading import Reading, downsampled_reading, whole_reading
from mltrail_api.services import Services
from mltrail_api.v1.series_query import (
    MAX_INT64,
    MAX_POINTS,
    MIN_INT64,
    OTHER_CONTENT,
    AskedFormat,
    Consistency,
    Name,
    SeriesPoints,
    consistency_headers,
    freshness_of_runs,
    window_of,
)
from mltrail_core.errors import Invalid
from mltrail_core.series import Series, Window, read_loose

MAX_SERIES = 1000
MAX_TOTAL_POINTS = 1_000_000
"""Of all series in one downsampled answer, which is made before it is sent."""

router = APIRouter()
_Int64 = Annotated[int, Field(ge=MIN_INT64, le=MAX_INT64)]


class SeriesQuestion(BaseModel):
    """Each of the keys for each of the runs: at most 1,000 series. Bounds are closed; times are µs UTC.

    With `points`, at most so many points of each series, chosen so that spikes survive, and at most 1,000,000 of all.
    Without it nothing is left out, and the answer streams in constant memory.
    """

    run_ids: Annotated[list[Name], Field(min_length=1, max_length=MAX_SERIES)]
    keys: Annotated[list[Name], Field(min_length=1, max_length=MAX_SERIES)]
    first_step: _Int64 | None = None
    last_step: _Int64 | None = None
    first_us: _Int64 | None = None
    last_us: _Int64 | None = None
    points: Annotated[int, Field(ge=4, le=MAX_POINTS)] | None = None


class MissingSeries(BaseModel):
    """A run that never logged the key; `key` null: a run that is not there."""

    run_id: str
    key: str | None


class SeriesSet(BaseModel):
    """The series that there are, run by run in the order that was asked for, and those that are missing."""

    missing: list[MissingSeries]
    series: list[SeriesPoints]


@dataclass(frozen=True, slots=True)
class _Found:
    present: list[tuple[str, str]]
    missing: list[dict[str, str | None]]
    readings: list[Reading]
    """Of what is present, when the points asked for are few."""


@router.post(
    "/metrics/series",
    summary="Read the points of several metrics of several runs",
    response_model=SeriesSet,
    responses={200: {"content": OTHER_CONTENT, "description": "One series after the other."}},
)
async def read_many_series(
    request: Request,
    question: SeriesQuestion,
    format: AskedFormat = None,
    consistency: Consistency = "current",
) -> Response:
    """Answer the series of all runs and keys that there are; 404 when there is none at all."""
    window = window_of(question.first_step, question.last_step, question.first_us, question.last_us)
    wanted = wanted_format(format, request.headers.get("accept", ""))
    run_ids, keys = list(dict.fromkeys(question.run_ids)), list(dict.fromkeys(question.keys))
    _refuse_too_much(len(run_ids), len(keys), question.points)
    services: Services = request.app.state.services

    def query(connection: Connection) -> _Found:
        return _find(connection, run_ids, keys, window, question.points)

    seen = await services.visibility.read(query, freshness_of_runs(run_ids, consistency))
    found, headers = seen.value, consistency_headers(seen)
    if not found.present:
        raise seen.absence(
            f"none of the {len(run_ids)} runs has any of the {len(keys)} metrics, as {run_ids[0]!r} and {keys[0]!r}; "
            "GET /api/v1/runs/{run_id}/metrics lists those of a run"
        )
    about: dict[str, object] = {"missing": found.missing}
    if question.points is None:

        def content(connection: Connection) -> Iterator[bytes]:
            readings = (
                whole_reading(connection, run_id, key, window, loose)
                for run_id, key, loose in _with_loose(connection, found.present)
            )
            return encoded_together(readings, about, wanted)

        return services.exports.response(content, MEDIA_TYPES[wanted], headers)
    body = await services.visibility.run(lambda: _body(found.readings, about, wanted))
    return Response(body, headers=headers, media_type=MEDIA_TYPES[wanted])


def _refuse_too_much(runs: int, keys: int, points: int | None) -> None:
    if runs * keys > MAX_SERIES:
        raise Invalid(
            f"{runs} runs and {keys} keys make {runs * keys} series; at most {MAX_SERIES} are answered at a time: "
            "ask for fewer runs or keys in each request"
        )
    if points is not None and runs * keys * points > MAX_TOTAL_POINTS:
        raise Invalid(
            f"{points} points of each of {runs * keys} series make {runs * keys * points}; at most {MAX_TOTAL_POINTS} "
            f"are answered at a time: ask for {max(4, MAX_TOTAL_POINTS // (runs * keys))} points, or without `points` "
            "for all of them in a stream"
        )


def _find(connection: Connection, run_ids: list[str], keys: list[str], window: Window, points: int | None) -> _Found:
    logged = load_extents(connection, run_ids, keys)
    there = known_runs(connection, run_ids)
    present: list[tuple[str, str]] = []
    missing: list[dict[str, str | None]] = []
    for run_id in run_ids:
        if run_id not in there:
            missing.append({"run_id": run_id, "key": None})
            continue
        present += [(run_id, key) for key in keys if (run_id, key) in logged]
        missing += [{"run_id": run_id, "key": key} for key in keys if (run_id, key) not in logged]
    readings = []
    if points is not None:
        readings = [
            downsampled_reading(connection, run_id, key, window, points, loose)
            for run_id, key, loose in _with_loose(connection, present)
        ]
    return _Found(present, missing, readings)


def _with_loose(connection: Connection, present: list[tuple[str, str]]) -> Iterator[tuple[str, str, Series]]:
    """Give each run and key with the points that are not compacted yet, read once for all keys of the run."""
    for run_id, names in groupby(present, key=itemgetter(0)):
        loose = read_loose(connection, run_id, [key for _, key in names])
        yield from ((run_id, key, points) for key, points in loose.items())


def _body(readings: list[Reading], about: dict[str, object], wanted: Format) -> bytes:
    if wanted == "arrow":  # whose rows have no place for counts
        about |= {
            "series": [
                {"run_id": reading.run_id, "key": reading.key, "points": reading.points, "total": reading.total}
                for reading in readings
            ]
        }
    return b"".join(encoded_together(readings, about, wanted))
