"""MLflow's endpoints of registered models: create, get, latest versions."""

from __future__ import annotations

from mltrail_api.mlflow.endpoint import PENDING, Answer, Caller, seen_answer
from mltrail_api.mlflow.limits import refuse
from mltrail_api.mlflow.registry.names import (
    MAX_DESCRIPTION_CHARACTERS,
    refuse_model_name,
    registry_tags,
    stage_named,
)
from mltrail_api.mlflow.registry.queries import RegisteredModelView, load_registered_model
from mltrail_api.mlflow.registry.requests import CreateRegisteredModel, GetLatestVersions, RegisteredModelByName
from mltrail_api.mlflow.registry.view import registered_model_json, version_json
from mltrail_api.services import Services
from mltrail_api.visibility import CONTROL_ONLY, EVENTUAL, Seen
from mltrail_core.clock import now_us
from mltrail_core.errors import Conflict, NotFound
from mltrail_core.events import RegisteredModelCreated
from mltrail_core.ids import CONTROL
from mltrail_core.rules import text_fault


async def create(services: Services, request: CreateRegisteredModel, caller: Caller) -> Answer:
    """Begin a registered model and answer it; a name that is taken is refused."""
    name = request.name
    refuse_model_name(name)
    refuse(text_fault("description", request.description or "", MAX_DESCRIPTION_CHARACTERS))
    tags, at_us, actor = tuple(registry_tags(request.tags).items()), now_us(), caller.actor()
    created = RegisteredModelCreated(at_us, name, request.description, tags)
    written = await services.appender.append(CONTROL, [created], actor)
    try:
        is_projected = await services.visibility.outcome(written)
    except Conflict as error:
        raise Conflict(f"Registered Model (name={name}) already exists.") from error
    stored = (await services.visibility.read(lambda c: load_registered_model(c, name), EVENTUAL)).value
    appended_us = written.appended.appended_us
    sent = RegisteredModelView(name, request.description, actor.name, appended_us, appended_us, tags, ())
    return Answer({"registered_model": registered_model_json(stored or sent)}, {} if is_projected else PENDING)


async def get(services: Services, request: RegisteredModelByName, caller: Caller) -> Answer:
    """Answer a registered model with its tags and the latest version of each stage."""
    seen = await _read(services, request.name, caller)
    return seen_answer(seen, {"registered_model": registered_model_json(seen.value)})


async def get_latest_versions(services: Services, request: GetLatestVersions, caller: Caller) -> Answer:
    """Answer the highest version of each stage asked for, of every stage when none is."""
    stages = {stage_named(stage) for stage in request.stages}
    seen = await _read(services, request.name, caller)
    latest = [version for version in seen.value.latest if not stages or version.stage in stages]
    return seen_answer(seen, {"model_versions": [version_json(version) for version in latest]})


async def _read(services: Services, name: str, caller: Caller) -> Seen[RegisteredModelView]:
    refuse_model_name(name)
    seen = await services.visibility.read(lambda c: load_registered_model(c, name), caller.asks_for(CONTROL_ONLY))
    if seen.value is None:
        raise NotFound(f"Registered Model with name={name} not found")
    return Seen(seen.value, seen.is_current)
