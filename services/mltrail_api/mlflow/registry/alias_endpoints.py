"""MLflow's endpoints of aliases, names that a model's owners give to its versions."""

from __future__ import annotations

from sqlalchemy import Connection

from mltrail_api.mlflow.endpoint import Answer, Caller, seen_answer
from mltrail_api.mlflow.registry.changing import change, existing_number
from mltrail_api.mlflow.registry.names import refuse_alias, refuse_model_name, refuse_new_alias
from mltrail_api.mlflow.registry.queries import (
    RegisteredModelView,
    VersionView,
    load_registered_model,
    load_version,
    load_version_of_alias,
)
from mltrail_api.mlflow.registry.requests import AliasByName, SetAlias
from mltrail_api.mlflow.registry.view import version_json
from mltrail_api.services import Services
from mltrail_api.visibility import CONTROL_ONLY
from mltrail_core.clock import now_us
from mltrail_core.errors import Invalid
from mltrail_core.events import AliasDeleted, AliasSet

_LATEST = "latest"


async def set_alias(services: Services, request: SetAlias, caller: Caller) -> Answer:
    """Let an alias name a version, whichever it named before."""
    refuse_model_name(request.name)
    refuse_new_alias(request.alias)
    number = existing_number(request.name, request.version)
    return Answer({}, await change(services, AliasSet(now_us(), request.name, request.alias, number), caller))


async def delete_alias(services: Services, request: AliasByName, caller: Caller) -> Answer:
    """Let an alias name nothing; one that named nothing is no error, as in MLflow."""
    refuse_model_name(request.name)
    refuse_alias(request.alias)
    return Answer({}, await change(services, AliasDeleted(now_us(), request.name, request.alias), caller))


async def get_by_alias(services: Services, request: AliasByName, caller: Caller) -> Answer:
    """Answer the version that an alias names; `latest` is the highest one."""
    refuse_model_name(request.name)
    refuse_alias(request.alias)

    def query(connection: Connection) -> tuple[RegisteredModelView | None, VersionView | None]:
        return load_registered_model(connection, request.name), version_of_alias(
            connection, request.name, request.alias
        )

    seen = await services.visibility.read(query, caller.asks_for(CONTROL_ONLY))
    model, version = seen.value
    if model is None:
        raise seen.absence(f"Registered Model with name={request.name} not found")
    if version is not None:
        return seen_answer(seen, {"model_version": version_json(version)})
    if request.alias.lower() == _LATEST:
        raise seen.absence(f"Latest version not found for model {request.name}.")
    if seen.is_behind:
        raise seen.absence(f"Registered model alias {request.alias} not found.")
    raise Invalid(f"Registered model alias {request.alias} not found.")  # not NotFound: as in MLflow


def version_of_alias(connection: Connection, name: str, alias: str) -> VersionView | None:
    """Return the version that an alias or the word `latest` names, or None."""
    if alias.lower() != _LATEST:
        return load_version_of_alias(connection, name, alias)
    model = load_registered_model(connection, name)
    numbers = [] if model is None else [version.number for version in model.latest]
    return load_version(connection, name, max(numbers)) if numbers else None
