"""`/api/v1/registry`: what is registered, now or as of a moment, and what changed, by whom and when."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from mltrail_api.mlflow.endpoint import CONSISTENCY_HEADER
from mltrail_api.services import Services
from mltrail_api.v1.registry_history import load_changes
from mltrail_api.v1.registry_states import NOW_US, ModelState, load_beginning, load_origins, load_state
from mltrail_api.visibility import CONTROL_ONLY, EVENTUAL
from mltrail_core.errors import Invalid

router = APIRouter(prefix="/registry")
T = TypeVar("T")

_EARLIEST_US = 10**14
"""1973: smaller numbers are seconds or milliseconds that somebody took for µs."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

AsOf = Annotated[
    str | None,
    Query(description="A moment, as an ISO 8601 time (UTC unless it says otherwise) or µs since 1970; now by default."),
]
Consistency = Literal["current", "eventual"]
Kind = Literal["created", "renamed", "deleted", "description", "tag", "alias", "stage"]


class RegistryVersion(BaseModel):
    """A version of a registered model, as it was. Times are µs UTC."""

    name: str
    version: int
    stage: str
    description: str | None
    tags: dict[str, str]
    aliases: list[str]
    source: str
    storage_location: str
    run_id: str | None
    run_link: str | None
    model_id: str | None
    user: str
    created_us: int
    updated_us: int


class RegistryModel(BaseModel):
    """A registered model, as it was. `registry_id` stays when it is renamed. Times are µs UTC.

    `stages` gives the versions in each stage that has any, the highest first; `versions` all of them.
    """

    name: str
    registry_id: str
    description: str | None
    tags: dict[str, str]
    aliases: dict[str, int]
    stages: dict[str, list[int]]
    versions: list[int]
    user: str
    created_us: int
    updated_us: int


class StageVersions(BaseModel):
    """The versions that were in a stage, the highest first."""

    name: str
    stage: str
    versions: list[RegistryVersion]


class RegistryChange(BaseModel):
    """One value that changed, the one before, who did it and how that is known. `version` null: of the model itself.

    `before` and `after` are names of models (created, renamed, deleted), stages (of a version: created, deleted,
    stage), numbers of versions (alias), or texts; null: there was, or is, none.
    """

    index: int
    registry_id: str
    name: str
    version: int | None
    kind: Kind
    key: str | None
    before: str | None
    after: str | None
    actor: str
    actor_known: str
    appended_us: int


class RegistryHistory(BaseModel):
    """Changes, the newest first, of all models that ever had the name."""

    changes: list[RegistryChange]
    next_page_token: str | None


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


def moment_us(as_of: str | None) -> int:
    """Return the moment that a text names, in µs since 1970; None is now.

    Raises:
        Invalid: it is neither an ISO 8601 time nor a number of µs after 1973.
    """
    if as_of is None:
        return NOW_US
    if as_of.isascii() and as_of.isdecimal():
        at_us = int(as_of) if len(as_of) < 20 else NOW_US + 1
        if not _EARLIEST_US <= at_us <= NOW_US:
            raise Invalid(f"as_of is {as_of[:100]}, expected µs since 1970, such as 1750000000000000")
        return at_us
    try:
        # A '+' that was not encoded arrives as a space.
        moment = datetime.fromisoformat(as_of.strip().replace(" +", "+").replace(" ", "+" if "T" in as_of else "T"))
    except ValueError as error:
        raise Invalid(
            f"as_of is {as_of[:100]!r}, expected an ISO 8601 time, such as 2026-05-01T12:00:00Z, or µs since 1970"
        ) from error
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (moment - _EPOCH) // timedelta(microseconds=1)


def model_view(connection: Connection, state: ModelState) -> RegistryModel:
    """Return what is answered about a model."""
    created_us, user = load_beginning(connection, state.registry_id)
    stages = sorted({version.stage for version in state.versions.values()})
    return RegistryModel(
        name=state.name,
        registry_id=state.registry_id,
        description=state.description,
        tags=dict(sorted(state.tags.items())),
        aliases=dict(sorted(state.aliases.items())),
        stages={stage: state.in_stage(stage) for stage in stages},
        versions=sorted(state.versions),
        user=user,
        created_us=created_us,
        updated_us=state.updated_us,
    )


def version_views(connection: Connection, state: ModelState, versions: list[int]) -> list[RegistryVersion]:
    """Return what is answered about some versions of a model."""
    origins = load_origins(connection, state.registry_id, versions)
    views = []
    for number in versions:
        version, origin = state.versions[number], origins[number]
        views.append(
            RegistryVersion(
                name=state.name,
                version=number,
                stage=version.stage,
                description=version.description,
                tags=dict(sorted(version.tags.items())),
                aliases=state.aliases_of(number),
                source=origin["source"],
                storage_location=origin["storage_location"],
                run_id=origin["run_id"],
                run_link=origin["run_link"],
                model_id=origin["model_id"],
                user=origin["user"],
                created_us=origin["created_us"],
                updated_us=version.updated_us,
            )
        )
    return views


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
