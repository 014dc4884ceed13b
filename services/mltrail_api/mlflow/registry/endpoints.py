"""MLflow's endpoints of registered models."""

from __future__ import annotations

from collections.abc import Mapping

from mltrail_api.mlflow.endpoint import PENDING, Answer, Caller, seen_answer
from mltrail_api.mlflow.limits import refuse
from mltrail_api.mlflow.registry.changing import change
from mltrail_api.mlflow.registry.names import (
    MAX_DESCRIPTION_CHARACTERS,
    refuse_model_name,
    refuse_registry_tag,
    registry_tags,
    stage_named,
)
from mltrail_api.mlflow.registry.queries import RegisteredModelView, load_registered_model
from mltrail_api.mlflow.registry.requests import (
    CreateRegisteredModel,
    DeleteRegisteredModelTag,
    GetLatestVersions,
    RegisteredModelByName,
    RenameRegisteredModel,
    SetRegisteredModelTag,
    UpdateRegisteredModel,
)
from mltrail_api.mlflow.registry.view import registered_model_json, version_json
from mltrail_api.services import Services
from mltrail_api.visibility import CONTROL_ONLY, EVENTUAL, Seen
from mltrail_core.clock import now_us
from mltrail_core.errors import Conflict
from mltrail_core.events import (
    RegisteredModelCreated,
    RegisteredModelDeleted,
    RegisteredModelDescribed,
    RegisteredModelRenamed,
    RegisteredModelTagDeleted,
    RegisteredModelTagSet,
)
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
    stages = {stage_named(stage, services.stages) for stage in request.stages}
    seen = await _read(services, request.name, caller)
    latest = [version for version in seen.value.latest if not stages or version.stage in stages]
    return seen_answer(seen, {"model_versions": [version_json(version) for version in latest]})


async def _read(services: Services, name: str, caller: Caller) -> Seen[RegisteredModelView]:
    refuse_model_name(name)
    seen = await services.visibility.read(lambda c: load_registered_model(c, name), caller.asks_for(CONTROL_ONLY))
    if seen.value is None:
        raise seen.absence(f"Registered Model with name={name} not found")
    return Seen(seen.value, seen.is_current, seen.is_behind)


async def rename(services: Services, request: RenameRegisteredModel, caller: Caller) -> Answer:
    """Give a model, with all that is its own, another name that is free, and answer it."""
    refuse_model_name(request.name)
    refuse_model_name(request.new_name)
    headers = await change(services, RegisteredModelRenamed(now_us(), request.name, request.new_name), caller)
    return await _answer(services, request.new_name, headers)


async def update(services: Services, request: UpdateRegisteredModel, caller: Caller) -> Answer:
    """Give a model another description, or none, and answer it."""
    refuse_model_name(request.name)
    refuse(text_fault("description", request.description or "", MAX_DESCRIPTION_CHARACTERS))
    event = RegisteredModelDescribed(now_us(), request.name, request.description)
    headers = await change(services, event, caller)
    return await _answer(services, request.name, headers, description=request.description)


async def delete(services: Services, request: RegisteredModelByName, caller: Caller) -> Answer:
    """Delete a model with its versions; its name is free again."""
    refuse_model_name(request.name)
    return Answer({}, await change(services, RegisteredModelDeleted(now_us(), request.name), caller))


async def set_tag(services: Services, request: SetRegisteredModelTag, caller: Caller) -> Answer:
    """Give a tag of a model its value, whatever it had before."""
    refuse_model_name(request.name)
    refuse_registry_tag(request.key, request.value)
    event = RegisteredModelTagSet(now_us(), request.name, request.key, request.value)
    return Answer({}, await change(services, event, caller))


async def delete_tag(services: Services, request: DeleteRegisteredModelTag, caller: Caller) -> Answer:
    """Delete a tag of a model; one that is not there is no error, as in MLflow."""
    refuse_model_name(request.name)
    refuse_registry_tag(request.key, "")
    return Answer({}, await change(services, RegisteredModelTagDeleted(now_us(), request.name, request.key), caller))


async def _answer(services: Services, name: str, headers: Mapping[str, str], **asked: str | None) -> Answer:
    seen = await services.visibility.read(lambda connection: load_registered_model(connection, name), EVENTUAL)
    # Not projected yet, or deleted by another request meanwhile: what was asked for is durable all the same.
    known = {"name": name} if seen.value is None else registered_model_json(seen.value)
    return Answer({"registered_model": known | asked if headers or seen.value is None else known}, headers)
