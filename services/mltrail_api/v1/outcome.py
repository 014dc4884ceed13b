"""`/api/v1/producers/{producer}/records/{sequence}/outcome`: what was decided about a record that somebody sent."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from mltrail_api.mlflow.endpoint import CONSISTENCY_HEADER
from mltrail_api.services import Services
from mltrail_api.v1.decided import Outcome, load_outcome
from mltrail_api.visibility import Freshness
from mltrail_core.ids import CONTROL, RUN_PARTITIONS, Partition

_BOUND_S = 2.0

router = APIRouter()


@router.get(
    "/producers/{producer}/records/{sequence}/outcome", summary="Say whether a record was accepted, and what it made"
)
async def get_outcome(
    request: Request,
    response: Response,
    producer: Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9_-]+$")],
    sequence: Annotated[int, Path(ge=1, le=2**63 - 1)],
    partition: Annotated[str, Query(pattern=rf"^({'|'.join((CONTROL, *RUN_PARTITIONS))})$")] = CONTROL,
    model: Annotated[str | None, Query(description="The registered model whose version's number is asked for.")] = None,
) -> Outcome:
    """Answer what was decided about the record; waits at most 2 s for the projector."""
    services: Services = request.app.state.services
    wanted = Partition(partition)
    seen = await services.visibility.read(
        lambda connection: load_outcome(connection, services.log, wanted, producer, sequence, model),
        Freshness((wanted,), _BOUND_S),
    )
    response.headers[CONSISTENCY_HEADER] = "current" if seen.is_current else "stale"
    return seen.value
