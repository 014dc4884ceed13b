"""`/models`, `/models/{name}` and `/models/{name}/versions/{number}`: the registry as a browser sees it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection, select

from mltrail_api.mlflow.registry.queries import (
    RegisteredModelView,
    VersionView,
    load_registered_model,
    load_registered_models,
    load_version,
    load_versions,
)
from mltrail_api.pages.queries import StoredArtifact, artifacts_of
from mltrail_api.pages.rendering import missing_page, page
from mltrail_api.services import Services
from mltrail_api.visibility import EVENTUAL
from mltrail_core.readmodel.tables import model_versions, registered_models

_MAX_LINES = 1000

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/models")
async def models(request: Request) -> HTMLResponse:
    """Show the registered models, by name."""

    def query(connection: Connection) -> list[RegisteredModelView]:
        named = select(registered_models.c.name).order_by(registered_models.c.name).limit(_MAX_LINES + 1)
        return load_registered_models(connection, list(connection.execute(named).scalars()))

    services: Services = request.app.state.services
    found = (await services.visibility.read(query, EVENTUAL)).value
    values = {"server_version": services.version, "models": found[:_MAX_LINES], "is_cut": len(found) > _MAX_LINES}
    return page("models.html", values)


@router.get("/models/{name}")
async def model(request: Request, name: str) -> HTMLResponse:
    """Show a registered model and its versions, the newest first."""

    def query(connection: Connection) -> tuple[RegisteredModelView | None, list[VersionView]]:
        columns = model_versions.c
        numbered = select(columns.version).where(columns.name == name).order_by(columns.version.desc())
        numbers = connection.execute(numbered.limit(_MAX_LINES + 1)).scalars()
        return load_registered_model(connection, name), load_versions(
            connection, [(name, number) for number in numbers]
        )

    services: Services = request.app.state.services
    found, versions = (await services.visibility.read(query, EVENTUAL)).value
    if found is None:
        return missing_page(services.version, f"There is no registered model {name[:200]}.")
    shown = {"model": found, "versions": versions[:_MAX_LINES], "is_cut": len(versions) > _MAX_LINES}
    return page("model.html", {"server_version": services.version, **shown})


@router.get("/models/{name}/versions/{number}")
async def model_version(request: Request, name: str, number: str) -> HTMLResponse:
    """Show a version of a registered model: where it comes from, its files and tags."""

    def query(connection: Connection) -> tuple[VersionView, list[StoredArtifact]] | None:
        is_number = number.isascii() and number.isdigit() and len(number) < 19
        found = load_version(connection, name, int(number)) if is_number else None
        if found is None:
            return None
        return found, artifacts_of(connection, [found.model_id]) if found.model_id else []

    services: Services = request.app.state.services
    found = (await services.visibility.read(query, EVENTUAL)).value
    if found is None:
        return missing_page(services.version, f"There is no version {number[:200]} of a registered model {name[:200]}.")
    return page("model_version.html", {"server_version": services.version, "version": found[0], "artifacts": found[1]})
