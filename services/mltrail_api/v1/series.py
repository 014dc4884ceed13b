"""`/api/v1/runs/{run_id}/metrics/{key}`: the points of one metric, all of them or so few that a chart can draw them."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection

from mltrail_api.series.absence import absent_key, absent_run
from mltrail_api.series.formats import MEDIA_TYPES, encoded, wanted_format
from mltrail_api.series.queries import has_run, load_summary
from mltrail_api.series.reading import Reading, downsampled_reading, whole_reading
from mltrail_api.services import Services
from mltrail_api.v1.series_query import (
    OTHER_CONTENT,
    AskedFormat,
    Consistency,
    FirstStep,
    FirstUs,
    LastStep,
    LastUs,
    Points,
    SeriesPoints,
    consistency_headers,
    window_of,
)
from mltrail_api.visibility import EVENTUAL, freshness_of

POINTS_HEADER, TOTAL_HEADER = "X-Mltrail-Points", "X-Mltrail-Total"
"""n of m, for formats that have no place for it."""

router = APIRouter()


@router.get(
    "/runs/{run_id}/metrics/{key:path}",
    summary="Read the points of a metric",
    response_model=SeriesPoints,
    responses={200: {"content": OTHER_CONTENT, "description": "The points, by step; a long series comes in parts."}},
)
async def read_series(
    request: Request,
    run_id: str,
    key: str,
    first_step: FirstStep = None,
    last_step: LastStep = None,
    first_us: FirstUs = None,
    last_us: LastUs = None,
    points: Points = None,
    format: AskedFormat = None,
    consistency: Consistency = "current",
) -> Response:
    """Answer all points within closed bounds, or at most `points` of them by MinMaxLTTB.

    Without `points` nothing is left out, and the answer streams in constant memory however long the series is.
    """
    window = window_of(first_step, last_step, first_us, last_us)
    wanted = wanted_format(format, request.headers.get("accept", ""))
    services: Services = request.app.state.services

    def query(connection: Connection) -> Reading | str | None:
        if not has_run(connection, run_id):
            return None
        if load_summary(connection, run_id, key) is None:
            return absent_key(connection, run_id, key)
        if points is None:
            return whole_reading(connection, run_id, key, window)
        return downsampled_reading(connection, run_id, key, window, points)

    seen = await services.visibility.read(query, EVENTUAL if consistency == "eventual" else freshness_of(run_id))
    found = seen.value
    if not isinstance(found, Reading):
        raise seen.absence(absent_run(run_id) if found is None else found)
    headers = consistency_headers(seen)
    if points is None:
        # Read anew, in a transaction that lasts as long as the answer; it sees at least what was waited for.
        def content(connection: Connection) -> Iterator[bytes]:
            return encoded(whole_reading(connection, run_id, key, window), wanted)

        return services.exports.response(content, MEDIA_TYPES[wanted], headers)
    headers |= {POINTS_HEADER: str(found.points), TOTAL_HEADER: str(found.total)}
    body = await services.visibility.run(lambda: b"".join(encoded(found, wanted)))
    return Response(body, headers=headers, media_type=MEDIA_TYPES[wanted])
