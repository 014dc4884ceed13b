"""`/api/v1/registry`: what is registered, now or as of a moment, and what changed, by whom and when."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import Connection

from mltrail_api.mlflow.endpoint import CONSISTENCY_HEADER
from mltrail_api.services import Services
from mltrail_api.v1.registry_history import load_changes
from mltrail_api.v1.registry_moment import moment_us
from mltrail_api.v1.registry_states import ModelState, load_state
from mltrail_api.v1.registry_views import (
    Kind,
    RegistryChange,
    RegistryHistory,
    RegistryModel,
    RegistryVersion,
    StageVersions,
    model_view,
    version_views,
)
from mltrail_api.visibility import CONTROL_ONLY, EVENTUAL
from mltrail_core.errors import Invalid

router = APIRouter(prefix="/registry")
T = TypeVar("T")


AsOf = Annotated[
    str | None,
    Query(description="A moment, as an ISO 8601 time (UTC unless it says otherwise) or µs since 1970; now by default."),
]
Consistency = Literal["current", "eventual"]


@router.get("/{model}", summary="Look a registered model up, now or as of a moment")
async def get_model(
    request: Request, response: Response, model: str, as_of: AsOf = None, consistency: Consistency = "current"
) -> RegistryModel:
    """Answer the model that had the name then, as it was then."""
    return await _look_up(request, response, model, as_of, consistency, model_view)


@router.get("/{model}/versions/{version}", summary="Look a model version up, now or as of a moment")
async def get_version(
    request: Request,
    response: Response,
    model: str,
    version: int,
    as_of: AsOf = None,
    consistency: Consistency = "current",
) -> RegistryVersion:
    """Answer a version as it was then."""

    def find(connection: Connection, state: ModelState) -> RegistryVersion | None:
        return next(iter(version_views(connection, state, [version] if version in state.versions else [])), None)

    return await _look_up(request, response, model, as_of, consistency, find, f"version {version} of ")


@router.get("/{model}/stages/{stage}", summary="Say which versions are in a stage, or were at a moment")
async def get_stage(
    request: Request,
    response: Response,
    model: str,
    stage: str,
    as_of: AsOf = None,
    consistency: Consistency = "current",
) -> StageVersions:
    """Answer the versions that were in the stage then; stages that the server has no more answer too."""

    def find(connection: Connection, state: ModelState) -> StageVersions:
        return StageVersions(
            name=state.name, stage=stage, versions=version_views(connection, state, state.in_stage(stage))
        )

    return await _look_up(request, response, model, as_of, consistency, find)


@router.get("/{model}/aliases/{alias}", summary="Say which version an alias names, or named at a moment")
async def get_alias(
    request: Request,
    response: Response,
    model: str,
    alias: str,
    as_of: AsOf = None,
    consistency: Consistency = "current",
) -> RegistryVersion:
    """Answer the version that the alias named then; `latest` is the highest one."""

    def find(connection: Connection, state: ModelState) -> RegistryVersion | None:
        number = state.of_alias(alias)
        return None if number is None else version_views(connection, state, [number])[0]

    return await _look_up(request, response, model, as_of, consistency, find, f"alias {alias[:300]!r} of ")


@router.get("/{model}/history", summary="List what changed, by whom, when, and what was before")
async def get_history(
    request: Request,
    response: Response,
    model: str,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    kind: Annotated[list[Kind] | None, Query(description="These kinds of changes only; may be repeated.")] = None,
    as_of: AsOf = None,
    max_results: Annotated[int, Query(ge=1, le=10_000)] = 100,
    page_token: str = "",
    consistency: Consistency = "current",
) -> RegistryHistory:
    """Answer changes, the newest first; a deleted model's history is answered under the names it had."""
    until_us = moment_us(as_of)
    _refuse_nul(model)

    def query(connection: Connection) -> RegistryHistory | None:
        found = load_changes(
            connection,
            model,
            until_us=until_us,
            version=version,
            kinds=kind or (),
            limit=max_results + 1,
            page_token=page_token,
        )
        if found is None:
            return None
        shown = [RegistryChange.model_validate(dataclasses.asdict(change)) for change in found[:max_results]]
        is_more = len(found) > max_results
        return RegistryHistory(changes=shown, next_page_token=found[max_results - 1].token if is_more else None)

    services: Services = request.app.state.services
    seen = await services.visibility.read(query, EVENTUAL if consistency == "eventual" else CONTROL_ONLY)
    if seen.value is None:
        raise seen.absence(f"no registered model ever had the name {model[:300]!r}")
    response.headers[CONSISTENCY_HEADER] = "current" if seen.is_current else "stale"
    return seen.value


async def _look_up(
    request: Request,
    response: Response,
    model: str,
    as_of: str | None,
    consistency: Consistency,
    find: Callable[[Connection, ModelState], T | None],
    what: str = "",
) -> T:
    at_us = moment_us(as_of)
    _refuse_nul(model)

    def query(connection: Connection) -> T | None:
        state = load_state(connection, model, at_us)
        return None if state is None else find(connection, state)

    services: Services = request.app.state.services
    seen = await services.visibility.read(query, EVENTUAL if consistency == "eventual" else CONTROL_ONLY)
    if seen.value is None:
        when = "" if as_of is None else f" as of {as_of[:100]}"
        raise seen.absence(f"{what}registered model {model[:300]!r} not found{when}")
    response.headers[CONSISTENCY_HEADER] = "current" if seen.is_current else "stale"
    return seen.value


def _refuse_nul(model: str) -> None:
    if "\0" in model:
        raise Invalid("the model's name holds a NUL character, which no database keeps")
