"""MLflow's endpoints that change a model version: description, stage, tags, deletion."""

from __future__ import annotations

from collections.abc import Mapping

from mltrail_api.mlflow.endpoint import Answer, Caller
from mltrail_api.mlflow.limits import refuse
from mltrail_api.mlflow.registry.changing import change, existing_number
from mltrail_api.mlflow.registry.names import (
    MAX_DESCRIPTION_CHARACTERS,
    archived_by,
    refuse_model_name,
    refuse_registry_tag,
    stage_named,
)
from mltrail_api.mlflow.registry.queries import load_version
from mltrail_api.mlflow.registry.requests import (
    DeleteModelVersionTag,
    ModelVersionByNumber,
    SetModelVersionTag,
    TransitionStage,
    UpdateModelVersion,
)
from mltrail_api.mlflow.registry.view import version_json
from mltrail_api.services import Services
from mltrail_api.visibility import EVENTUAL
from mltrail_core.clock import now_us
from mltrail_core.events import (
    ModelVersionDeleted,
    ModelVersionDescribed,
    ModelVersionTagDeleted,
    ModelVersionTagSet,
    StageChanged,
)
from mltrail_core.rules import text_fault


async def update(services: Services, request: UpdateModelVersion, caller: Caller) -> Answer:
    """Give a version another description, or none, and answer it."""
    refuse_model_name(request.name)
    refuse(text_fault("description", request.description or "", MAX_DESCRIPTION_CHARACTERS))
    number = existing_number(request.name, request.version)
    event = ModelVersionDescribed(now_us(), request.name, number, request.description)
    headers = await change(services, event, caller)
    return await _answer(services, request.name, number, headers, description=request.description)


async def transition_stage(services: Services, request: TransitionStage, caller: Caller) -> Answer:
    """Bring a version to a stage, archiving the others that are in it when told so, and answer it."""
    stage = stage_named(request.stage, services.stages)
    others_to = archived_by(stage) if request.archive_existing_versions else None
    refuse_model_name(request.name)
    number = existing_number(request.name, request.version)
    headers = await change(services, StageChanged(now_us(), request.name, number, stage, others_to), caller)
    return await _answer(services, request.name, number, headers, current_stage=stage)


async def delete(services: Services, request: ModelVersionByNumber, caller: Caller) -> Answer:
    """Delete a version, its tags and its aliases; its number is not given again."""
    refuse_model_name(request.name)
    number = existing_number(request.name, request.version)
    return Answer({}, await change(services, ModelVersionDeleted(now_us(), request.name, number), caller))


async def set_tag(services: Services, request: SetModelVersionTag, caller: Caller) -> Answer:
    """Give a tag of a version its value, whatever it had before."""
    refuse_model_name(request.name)
    refuse_registry_tag(request.key, request.value)
    number = existing_number(request.name, request.version)
    event = ModelVersionTagSet(now_us(), request.name, number, request.key, request.value)
    return Answer({}, await change(services, event, caller))


async def delete_tag(services: Services, request: DeleteModelVersionTag, caller: Caller) -> Answer:
    """Delete a tag of a version; one that is not there is no error, as in MLflow."""
    refuse_model_name(request.name)
    refuse_registry_tag(request.key, "")
    number = existing_number(request.name, request.version)
    event = ModelVersionTagDeleted(now_us(), request.name, number, request.key)
    return Answer({}, await change(services, event, caller))


async def _answer(
    services: Services, name: str, number: int, headers: Mapping[str, str], **asked: str | None
) -> Answer:
    seen = await services.visibility.read(lambda connection: load_version(connection, name, number), EVENTUAL)
    # Not projected yet, or deleted by another request meanwhile: what was asked for is durable all the same.
    known = {"name": name, "version": str(number)} if seen.value is None else version_json(seen.value)
    return Answer({"model_version": known | asked if headers or seen.value is None else known}, headers)
