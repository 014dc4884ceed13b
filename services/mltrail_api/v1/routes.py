"""Everything under `/api/v1`, with OpenAPI at `/api/v1/openapi.json`."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from mltrail_api.identity import endpoints as identity
from mltrail_api.v1 import (
    blobs,
    delivery,
    heartbeats,
    outcome,
    records,
    registry,
    run_keys,
    run_search,
    series,
    series_keys,
    series_many,
    series_statistics,
    webhooks,
)


class Problem(BaseModel):
    """What an error looks like: MLflow's code for it, and what was wrong and what to do."""

    error_code: str
    message: str


router = APIRouter(
    prefix="/api/v1",
    responses={
        400: {"model": Problem, "description": "The request must change."},
        401: {"model": Problem, "description": "An API token is needed, or the one shown is not valid."},
        404: {"model": Problem, "description": "What is named is not there."},
        429: {"model": Problem, "description": "The log is full; nothing was done. See `Retry-After`."},
        503: {"model": Problem, "description": "Try again. See `Retry-After`."},
    },
)
for part in (
    records,
    blobs,
    delivery,
    heartbeats,
    outcome,
    identity,
    registry,
    webhooks,
    run_keys,
    run_search,
    series_keys,
    series,
    series_many,
    series_statistics,
):
    router.include_router(part.router)
