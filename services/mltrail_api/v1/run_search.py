"""`/api/v1/runs/search`: runs of several experiments or all, by the native grammar; see docs/search.md."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from mltrail_api.mlflow.endpoint import CONSISTENCY_HEADER
from mltrail_api.search.experiment_names import UnknownExperiment
from mltrail_api.search.expression import ViewType
from mltrail_api.search.limits import MAX_RESULTS
from mltrail_api.search.native.runs import DEFAULT_RESULTS, Search, search
from mltrail_api.services import Services
from mltrail_api.visibility import EVENTUAL, SEARCH

router = APIRouter()
_VIEWS = {"active": ViewType.ACTIVE_ONLY, "deleted": ViewType.DELETED_ONLY, "all": ViewType.ALL}


class RunSearch(BaseModel):
    """What is searched for.

    `experiments` are names or ids, all there are by default. `columns` are what is wanted of each run, everything by
    default: `metrics.loss`, `metrics.loss.min`, `params`, `tags.team`, `status`, `datasets`.
    """

    model_config = ConfigDict(extra="forbid")

    filter: str = ""
    experiments: list[str] | None = None
    order_by: list[str] = []
    max_results: Annotated[int, Field(ge=1, le=MAX_RESULTS)] = DEFAULT_RESULTS
    page_token: str | None = None
    view: Literal["active", "deleted", "all"] = "active"
    columns: list[str] | None = None
    consistency: Literal["current", "eventual"] = "current"


Number = float | int | Literal["NaN", "Infinity", "-Infinity"]


class FoundDataset(BaseModel):
    """A dataset that a run read, and as what."""

    name: str
    digest: str
    context: str | None


class FoundOutput(BaseModel):
    """A logged model that a run made at a step."""

    model_id: str
    step: int


class FoundModels(BaseModel):
    """Ids of the logged models that a run read, and those it made."""

    inputs: list[str]
    outputs: list[FoundOutput]


class FoundRun(BaseModel):
    """A run; what was not asked for is left out. Each metric has the numbers asked for, `last` and `last_step` by
    default."""

    run_id: str
    experiment_id: str | None = None
    experiment: str | None = None
    run_name: str | None = None
    user: str | None = None
    actor: str | None = None
    status: str | None = None
    started_us: int | None = None
    ended_us: int | None = None
    duration_us: int | None = None
    artifact_uri: str | None = None
    is_deleted: bool | None = None
    params: dict[str, str] | None = None
    tags: dict[str, str] | None = None
    metrics: dict[str, dict[str, Number | None]] | None = None
    datasets: list[FoundDataset] | None = None
    models: FoundModels | None = None


class FoundRuns(BaseModel):
    """A page of runs in the order asked for; with the token the same search goes on."""

    runs: list[FoundRun]
    next_page_token: str | None


@router.post("/runs/search", summary="Search runs", responses={200: {"model": FoundRuns}})
async def search_runs(request: Request, body: RunSearch) -> Response:
    """Answer a page of the runs that match.

    Raises:
        Invalid: an argument is malformed, the message shows where; or the search takes too long.
        NotFound: there is no experiment of a name.
    """
    asked = Search(
        filter=body.filter,
        experiments=body.experiments,
        order_by=body.order_by,
        max_results=body.max_results,
        page_token=body.page_token,
        view=_VIEWS[body.view],
        columns=body.columns,
    )
    services: Services = request.app.state.services
    freshness = EVENTUAL if body.consistency == "eventual" else SEARCH
    seen = await services.visibility.read(lambda connection: search(connection, asked), freshness)
    if isinstance(seen.value, UnknownExperiment):
        raise seen.absence(f"there is no experiment with the name or id {seen.value.name[:300]!r}")
    answer = {"runs": seen.value.runs, "next_page_token": seen.value.next_page_token}
    headers = {CONSISTENCY_HEADER: "current" if seen.is_current else "stale"}
    # Thousands of runs are written out as they are: checking them against the model costs more than finding them.
    return Response(json.dumps(answer, ensure_ascii=False, allow_nan=False), 200, headers, "application/json")


@router.get("/runs/search", summary="Search runs by a link", responses={200: {"model": FoundRuns}})
async def search_runs_by_link(request: Request, query: Annotated[RunSearch, Query()]) -> Response:
    """Answer as the POST does; lists are given by repeating their names.

    Raises:
        Invalid, NotFound: as there.
    """
    return await search_runs(request, query)
