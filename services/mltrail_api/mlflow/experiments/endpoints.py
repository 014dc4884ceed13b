"""MLflow's experiments endpoints; what changes an experiment is one record in `control`, whose fold decides."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlparse

from sqlalchemy import Connection

from mltrail_api.appender import Written
from mltrail_api.mlflow.endpoint import PENDING, Answer, Caller, seen_answer
from mltrail_api.mlflow.experiments.active import refuse_experiment_id
from mltrail_api.mlflow.experiments.queries import experiment_by_id, experiment_by_name, experiment_json
from mltrail_api.mlflow.experiments.requests import (
    CreateExperiment,
    DeleteExperimentTag,
    ExperimentById,
    ExperimentByName,
    SetExperimentTag,
    UpdateExperiment,
)
from mltrail_api.mlflow.limits import refuse, refuse_key
from mltrail_api.search.experiment_view import ExperimentView
from mltrail_api.services import Services
from mltrail_api.visibility import CONTROL_ONLY, Seen
from mltrail_core.clock import now_us
from mltrail_core.errors import Conflict, Invalid, NotFound
from mltrail_core.events import (
    Event,
    ExperimentCreated,
    ExperimentDeleted,
    ExperimentRenamed,
    ExperimentRestored,
    ExperimentTagDeleted,
    ExperimentTagSet,
)
from mltrail_core.ids import CONTROL, new_experiment_id
from mltrail_core.rules import MAX_EXPERIMENT_TAG_CHARACTERS, experiment_name_fault, text_fault

_MAX_LOCATION_CHARACTERS = 2048
"""`MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH`."""


async def create(services: Services, request: CreateExperiment, caller: Caller) -> Answer:
    """Answer the new experiment's id; a name that is taken, also by a deleted experiment, is refused."""
    refuse(experiment_name_fault(request.name))
    location = request.artifact_location or None
    if location is not None:
        refuse(text_fault("artifact_location", location, _MAX_LOCATION_CHARACTERS))
        refuse(_location_fault(location))
    experiment_id, at_us = new_experiment_id(), now_us()
    tags = [_tag_event(at_us, experiment_id, tag.key, tag.text) for tag in request.tags]
    created = ExperimentCreated(at_us, experiment_id, request.name, location)
    try:
        headers = await _decide(services, [created, *tags], caller)
    except Conflict as error:
        raise Conflict(f"Experiment(name={request.name}) already exists: {error}") from error
    if headers:
        place = location or f"mlflow-artifacts:/{experiment_id}"
        begun = ExperimentView(experiment_id, request.name, place, False, at_us, at_us, ())
        services.begun_experiments.remember(experiment_id, begun)
    return Answer({"experiment_id": experiment_id}, headers)


async def get(services: Services, request: ExperimentById, caller: Caller) -> Answer:
    """Answer the experiment with an id, deleted or not."""
    seen = await _read(services, request.experiment_id, caller)
    return seen_answer(seen, {"experiment": experiment_json(seen.value)})


async def get_by_name(services: Services, request: ExperimentByName, caller: Caller) -> Answer:
    """Answer the experiment with a name, deleted or not."""

    def query(connection: Connection) -> ExperimentView | None:
        return experiment_by_name(connection, request.experiment_name)

    seen = await services.visibility.read(query, caller.asks_for(CONTROL_ONLY))
    if seen.value is None:
        raise seen.absence(f"Could not find experiment with name '{request.experiment_name}'")
    return seen_answer(seen, {"experiment": experiment_json(seen.value)})


async def update(services: Services, request: UpdateExperiment, caller: Caller) -> Answer:
    """Give the experiment another name; one that is taken is refused."""
    refuse(experiment_name_fault(request.new_name))
    experiment_id = await _active_id(services, request.experiment_id)
    renamed = ExperimentRenamed(now_us(), experiment_id, request.new_name)
    return Answer(headers=await _decide(services, [renamed], caller))


async def delete(services: Services, request: ExperimentById, caller: Caller) -> Answer:
    """Delete the experiment and so its runs; one that is deleted already is not found, as in stock."""
    found = await _known(services, request.experiment_id)
    if found.is_deleted:
        raise NotFound(f"No Experiment with id={request.experiment_id} exists (it is deleted)")
    try:
        headers = await _decide(services, [ExperimentDeleted(now_us(), found.experiment_id)], caller)
    except Invalid as error:  # another request deleted it since it was read
        raise NotFound(f"No Experiment with id={request.experiment_id} exists (it is deleted)") from error
    _forget_what_was_active(services)
    return Answer(headers=headers)


async def restore(services: Services, request: ExperimentById, caller: Caller) -> Answer:
    """Make a deleted experiment active again; one that is active is not found, as in stock."""
    found = await _known(services, request.experiment_id)
    if not found.is_deleted:
        raise NotFound(f"No Experiment with id={request.experiment_id} is deleted")
    headers = await _decide(services, [ExperimentRestored(now_us(), found.experiment_id)], caller)
    _forget_what_was_active(services)
    return Answer(headers=headers)


async def set_tag(services: Services, request: SetExperimentTag, caller: Caller) -> Answer:
    """Give a tag of the experiment this value."""
    event = _tag_event(now_us(), request.experiment_id, request.key, request.value)
    experiment_id = await _active_id(services, request.experiment_id)
    return Answer(headers=await _decide(services, [_about(event, experiment_id)], caller))


async def delete_tag(services: Services, request: DeleteExperimentTag, caller: Caller) -> Answer:
    """Remove a tag of the experiment; one that is not there is not found."""
    experiment_id = await _active_id(services, request.experiment_id)
    deleted = ExperimentTagDeleted(now_us(), experiment_id, request.key)
    try:
        return Answer(headers=await _decide(services, [deleted], caller))
    except NotFound as error:
        raise NotFound(f"No tag with name: {request.key} in experiment with id {experiment_id}") from error


def _forget_what_was_active(services: Services) -> None:
    services.run_states.forget_all()
    services.active_experiments.forget_all()


async def _decide(services: Services, events: Sequence[Event], caller: Caller) -> dict[str, str]:
    """Append events to `control` and wait for the fold's word; the headers say when it did not come in time."""
    written: Written = await services.appender.append(CONTROL, events, caller.actor())
    return {} if await services.visibility.outcome(written) else dict(PENDING)


async def _read(services: Services, experiment_id: str, caller: Caller) -> Seen[ExperimentView]:
    refuse_experiment_id(experiment_id)
    seen = await services.visibility.read(
        lambda connection: experiment_by_id(connection, experiment_id), caller.asks_for(CONTROL_ONLY)
    )
    if seen.value is None:
        raise seen.absence(f"No Experiment with id={experiment_id} exists")
    return Seen(seen.value, seen.is_current)


async def _known(services: Services, experiment_id: str) -> ExperimentView:
    return (await _read(services, experiment_id, Caller(None, False))).value


async def _active_id(services: Services, experiment_id: str) -> str:
    found = await _known(services, experiment_id)
    if found.is_deleted:
        raise Invalid(
            f"The experiment {experiment_id} must be in the 'active' state. Current state is deleted. "
            "Restore it to change it."
        )
    return found.experiment_id


def _tag_event(at_us: int, experiment_id: str, key: str, value: str) -> ExperimentTagSet:
    refuse_key("tag", key)
    refuse(text_fault(f"value of tag {key!r}", value, MAX_EXPERIMENT_TAG_CHARACTERS))
    return ExperimentTagSet(at_us, experiment_id, key, value)


def _location_fault(location: str) -> str | None:
    try:
        parts = urlparse(location)
    except ValueError as error:
        return f"artifact_location {location[:200]!r} is no URI: {error}"
    if parts.fragment or parts.params:
        return f"artifact_location {location[:200]!r} has a fragment or params; leave out what follows '#' or ';'"
    return None


def _about(event: ExperimentTagSet, experiment_id: str) -> ExperimentTagSet:
    return ExperimentTagSet(event.occurred_us, experiment_id, event.key, event.value)
