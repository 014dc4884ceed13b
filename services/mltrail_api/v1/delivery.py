"""`/api/v1/runs/{run_id}/delivery`: what arrived of what a run's producers sent, and what was rejected."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response

from mltrail_api.mlflow.endpoint import CONSISTENCY_HEADER
from mltrail_api.services import Services
from mltrail_api.v1.delivered import Delivery, load_delivery, with_present
from mltrail_api.visibility import EVENTUAL, freshness_of

router = APIRouter()


@router.get("/runs/{run_id}/delivery", summary="Say what of a run arrived")
async def delivery(
    request: Request,
    response: Response,
    run_id: str,
    consistency: Literal["current", "eventual"] = "current",
) -> Delivery:
    """Answer what arrived of the run.

    Raises:
        NotFound: there is neither a run nor a producer of that id.
    """
    services: Services = request.app.state.services
    freshness = EVENTUAL if consistency == "eventual" else freshness_of(run_id)
    seen = await services.visibility.read(lambda connection: load_delivery(connection, run_id), freshness)
    found = seen.value
    if found is None:
        raise seen.absence(f"Run with id={run_id[:300]} not found")
    response.headers[CONSISTENCY_HEADER] = "current" if seen.is_current else "stale"
    return await services.visibility.run(lambda: with_present(found, services.log, services.liveness))
