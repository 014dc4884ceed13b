"""What is answered about models, versions and changes of the registry."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel
from sqlalchemy import Connection

from mltrail_api.v1.registry_states import ModelState, load_beginning, load_origins

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
