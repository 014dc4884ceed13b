"""`/api/v1/experiments/{experiment}/keys` and `/api/v1/keys`: which metrics, params and tags runs have."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from mltrail_api.mlflow.endpoint import CONSISTENCY_HEADER
from mltrail_api.search.experiment_names import UnknownExperiment, experiment_ids_of
from mltrail_api.search.keys import MAX_KEYS, KeyPage, experiment_key_page
from mltrail_api.services import Services
from mltrail_api.visibility import EVENTUAL, SEARCH

router = APIRouter()


class Keys(BaseModel):
    """A page of keys in the order of their characters; with the token the same question goes on."""

    kind: Literal["metrics", "params", "tags"]
    keys: list[str]
    next_page_token: str | None


Kind = Annotated[Literal["metrics", "params", "tags"], Query(description="Keys of what.")]
Prefix = Annotated[str, Query(description="Only keys that begin so.")]
MaxResults = Annotated[int, Query(ge=1, le=MAX_KEYS)]
Consistency = Literal["current", "eventual"]


@router.get("/experiments/{experiment}/keys", summary="List the keys that an experiment's runs have")
async def keys_of_experiment(
    request: Request,
    response: Response,
    experiment: str,
    kind: Kind,
    prefix: Prefix = "",
    max_results: MaxResults = 1000,
    page_token: str = "",
    consistency: Consistency = "current",
) -> Keys:
    """Answer the keys of one experiment, named by name or id.

    Raises:
        NotFound: there is no such experiment.
    """
    return await _keys(request, response, [experiment], kind, prefix, max_results, page_token, consistency)


@router.get("/keys", summary="List the keys that the runs of several experiments have")
async def keys_of_experiments(
    request: Request,
    response: Response,
    kind: Kind,
    experiments: Annotated[list[str] | None, Query(description="Names or ids; all by default.")] = None,
    prefix: Prefix = "",
    max_results: MaxResults = 1000,
    page_token: str = "",
    consistency: Consistency = "current",
) -> Keys:
    """Answer the keys of several experiments or all, each key once.

    Raises:
        NotFound: there is no experiment of a name.
    """
    return await _keys(request, response, experiments, kind, prefix, max_results, page_token, consistency)


async def _keys(
    request: Request,
    response: Response,
    names: list[str] | None,
    kind: Literal["metrics", "params", "tags"],
    prefix: str,
    max_results: int,
    page_token: str,
    consistency: Consistency,
) -> Keys:
    def query(connection: Connection) -> KeyPage | UnknownExperiment:
        ids = None if names is None else experiment_ids_of(connection, names)
        if isinstance(ids, UnknownExperiment):
            return ids
        return experiment_key_page(connection, ids, kind.removesuffix("s"), prefix, max_results, page_token)

    services: Services = request.app.state.services
    seen = await services.visibility.read(query, EVENTUAL if consistency == "eventual" else SEARCH)
    if isinstance(seen.value, UnknownExperiment):
        raise seen.absence(f"there is no experiment with the name or id {seen.value.name[:300]!r}")
    response.headers[CONSISTENCY_HEADER] = "current" if seen.is_current else "stale"
    return Keys(kind=kind, keys=list(seen.value.keys), next_page_token=seen.value.next_page_token)
