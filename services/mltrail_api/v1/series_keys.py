"""`/api/v1/runs/{run_id}/metrics`: which metrics a run has, each with its summary."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from mltrail_api.mlflow.wire import json_bytes
from mltrail_api.series.absence import absent_run
from mltrail_api.series.queries import has_run, load_summaries
from mltrail_api.services import Services
from mltrail_api.v1.series_query import Consistency, Number, consistency_headers
from mltrail_api.visibility import EVENTUAL, freshness_of
from mltrail_core.errors import Invalid

router = APIRouter()


class SummaryPoint(BaseModel):
    """A point of the series. The time is µs UTC by the producer's clock."""

    value: Number
    step: int
    time_us: int


class Extreme(BaseModel):
    """The least or greatest value, NaN left out, and the first step that has it."""

    value: Number
    step: int


class MetricSummary(BaseModel):
    """One metric of a run. `first` and `last` are by (step, time, value); `logged_points` counts exact duplicates too.

    `min` and `max` are null while every value was NaN.
    """

    key: str
    logged_points: int
    first: SummaryPoint
    last: SummaryPoint
    min: Extreme | None
    max: Extreme | None


class MetricPage(BaseModel):
    """Metrics of a run, by key."""

    run_id: str
    metrics: list[MetricSummary]
    next_page_token: str | None


@router.get("/runs/{run_id}/metrics", summary="List the metrics of a run", response_model=MetricPage)
async def list_metrics(
    request: Request,
    run_id: str,
    prefix: Annotated[str, Query(description="Only keys that begin so.")] = "",
    max_results: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    page_token: str = "",
    consistency: Consistency = "current",
) -> Response:
    """Answer a page of the run's metrics; a run that logged none has an empty list."""
    if "\0" in prefix:
        raise Invalid("the prefix holds a NUL character, which no key has")
    after = _key_of_token(page_token)

    def query(connection: Connection) -> bytes | None:
        if not has_run(connection, run_id):
            return None
        found = load_summaries(connection, run_id, prefix=prefix, after=after, limit=max_results + 1)
        is_more = len(found) > max_results
        return json_bytes(
            {
                "run_id": run_id,
                "metrics": [summary.as_json() for summary in found[:max_results]],
                "next_page_token": _token_of_key(found[max_results - 1].key) if is_more else None,
            }
        )

    services: Services = request.app.state.services
    seen = await services.visibility.read(query, EVENTUAL if consistency == "eventual" else freshness_of(run_id))
    if seen.value is None:
        raise seen.absence(absent_run(run_id))
    return Response(seen.value, headers=consistency_headers(seen), media_type="application/json")


def _token_of_key(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _key_of_token(token: str) -> str:
    try:
        key = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise _invalid(token) from error
    if "\0" in key:
        raise _invalid(token)
    return key


def _invalid(token: str) -> Invalid:
    return Invalid(f"page token {token[:100]!r} was not given out by a list of metrics; begin again without a token")
