"""MLflow's logged models endpoints; what changes a model is one record in the partition of its id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from mltrail_api.mlflow.endpoint import PENDING, Answer, Caller, seen_answer
from mltrail_api.mlflow.experiments.active import active_experiment
from mltrail_api.mlflow.limits import param_text, refuse, refuse_key, refuse_twice, tag_text
from mltrail_api.mlflow.logged_models.queries import ModelView, artifact_uri, load_model
from mltrail_api.mlflow.logged_models.requests import (
    CreateLoggedModel,
    DeleteLoggedModelTag,
    FinalizeLoggedModel,
    LoggedModelById,
    LogLoggedModelParams,
    SetLoggedModelTags,
)
from mltrail_api.mlflow.logged_models.view import model_json
from mltrail_api.mlflow.runs.names import random_run_name
from mltrail_api.mlflow.wire import KeyValue
from mltrail_api.services import Services
from mltrail_api.visibility import EVENTUAL, SEARCH, Seen, freshness_of
from mltrail_core.clock import now_us
from mltrail_core.errors import Invalid, NotFound
from mltrail_core.events import (
    Event,
    LoggedModelCreated,
    LoggedModelDeleted,
    LoggedModelFinalized,
    LoggedModelParamLogged,
    LoggedModelTagDeleted,
    LoggedModelTagSet,
)
from mltrail_core.ids import new_model_id, partition_of
from mltrail_core.rules import LOGGED_MODEL_PENDING, text_fault

_MAX_NAME_CHARACTERS = 500
_MAX_TYPE_CHARACTERS = 500
_MAX_RUN_ID_CHARACTERS = 32
_BAD_NAME_CHARACTERS = ("/", ":", ".", "%", '"', "'")


async def create(services: Services, request: CreateLoggedModel, caller: Caller) -> Answer:
    """Begin a logged model, pending, in an active experiment and answer it, as it was sent."""
    name = request.name or random_run_name()
    if any(character in name for character in _BAD_NAME_CHARACTERS):
        raise Invalid(
            f"Invalid model name ({name[:300]!r}) provided. Model name must be a non-empty string "
            f"and cannot contain the following characters: {_BAD_NAME_CHARACTERS}"
        )
    refuse(text_fault("logged model's name", name, _MAX_NAME_CHARACTERS))
    refuse(text_fault("logged model's model_type", request.model_type, _MAX_TYPE_CHARACTERS))
    refuse(text_fault("logged model's source_run_id", request.source_run_id, _MAX_RUN_ID_CHARACTERS))
    params, tags = _params(request.params), _tags(request.tags)
    experiment = await active_experiment(services, request.experiment_id)
    model_id, at_us = new_model_id(), now_us()
    sent = ModelView(
        model_id=model_id,
        experiment_id=experiment.experiment_id,
        name=name,
        model_type=request.model_type or None,
        source_run_id=request.source_run_id or None,
        status=LOGGED_MODEL_PENDING,
        created_us=at_us,
        updated_us=at_us,
        artifact_uri=artifact_uri(experiment.artifact_location, model_id),
        params=tuple(params.items()),
        tags=tuple(tags.items()),
        metrics=(),
        versions=(),
    )
    created = LoggedModelCreated(at_us, model_id, experiment.experiment_id, name, sent.model_type, sent.source_run_id)
    logged = [LoggedModelParamLogged(at_us, model_id, key, value) for key, value in params.items()]
    tagged = [LoggedModelTagSet(at_us, model_id, key, value) for key, value in tags.items()]
    is_projected = await _decide(services, model_id, [created, *logged, *tagged], caller)
    stored = await services.visibility.read(lambda connection: load_model(connection, model_id), EVENTUAL)
    return Answer({"model": model_json(stored.value or sent)}, {} if is_projected else PENDING)


async def get(services: Services, request: LoggedModelById, caller: Caller) -> Answer:
    """Answer a logged model with its params, tags and metrics."""

    def query(connection: Connection) -> ModelView | None:
        return load_model(connection, request.model_id)

    # Any run may have logged metrics for it, so that any partition counts: waited for as briefly as for a search.
    seen = await services.visibility.read(query, caller.asks_for(SEARCH))
    if not seen.is_current:
        own = await services.visibility.read(query, caller.asks_for(freshness_of(request.model_id)))
        seen = Seen(own.value, is_current=False)
    if seen.value is None or seen.value.is_deleted:
        raise model_not_found(request.model_id)
    return seen_answer(seen, {"model": model_json(seen.value)})


async def finalize(services: Services, request: FinalizeLoggedModel, caller: Caller) -> Answer:
    """Give a logged model the status it ends in, and answer it."""
    model = await known_model(services, request.model_id)
    finalized = LoggedModelFinalized(now_us(), model.model_id, request.status)
    if await _decide(services, model.model_id, [finalized], caller):
        return Answer({"model": model_json(await known_model(services, model.model_id))})
    return Answer({"model": model_json(replace(model, status=request.status))}, PENDING)


async def delete(services: Services, request: LoggedModelById, caller: Caller) -> Answer:
    """Delete a logged model; nothing is removed, and one that is deleted already stays so."""
    model = await known_model(services, request.model_id)
    return await _answer(services, model.model_id, [LoggedModelDeleted(now_us(), model.model_id)], caller)


async def log_params(services: Services, request: LogLoggedModelParams, caller: Caller) -> Answer:
    """Log params of a logged model; when one has another value already, none is logged."""
    params = _params(request.params)
    model = await known_model(services, request.model_id)
    for key, old in model.params:
        if params.get(key, old) != old:
            raise Invalid(
                f"Logged model {model.model_id}: param {key!r} already has the value {old!r} and can't become "
                f"{params[key]!r}; params never change"
            )
    at_us = now_us()
    events = [LoggedModelParamLogged(at_us, model.model_id, key, value) for key, value in params.items()]
    return await _answer(services, model.model_id, events, caller)


async def set_tags(services: Services, request: SetLoggedModelTags, caller: Caller) -> Answer:
    """Give tags of a logged model these values."""
    tags = _tags(request.tags)
    model = await known_model(services, request.model_id)
    at_us = now_us()
    events = [LoggedModelTagSet(at_us, model.model_id, key, value) for key, value in tags.items()]
    return await _answer(services, model.model_id, events, caller)


async def delete_tag(services: Services, request: DeleteLoggedModelTag, caller: Caller) -> Answer:
    """Remove a tag of a logged model; one that is not there is not found."""
    model = await known_model(services, request.model_id)
    deleted = LoggedModelTagDeleted(now_us(), model.model_id, request.tag_key)
    try:
        return await _answer(services, model.model_id, [deleted], caller)
    except NotFound as error:
        raise NotFound(
            f"No tag with key {request.tag_key[:300]!r} found for model with ID {model.model_id!r}."
        ) from error


async def known_model(services: Services, model_id: str) -> ModelView:
    """Return a logged model, deleted or not: stock writes to those too.

    Raises:
        NotFound: there is none, also after waiting once for what the log holds.
    """
    for freshness in (EVENTUAL, freshness_of(model_id)):
        seen = await services.visibility.read(lambda connection: load_model(connection, model_id), freshness)
        if seen.value is not None:
            return seen.value
    raise model_not_found(model_id)


def model_not_found(model_id: str) -> NotFound:
    """Return the error of a logged model that is not there."""
    return NotFound(f"Logged model with ID '{model_id[:300]}' not found.")


async def _answer(services: Services, model_id: str, events: Sequence[Event], caller: Caller) -> Answer:
    return Answer(headers={} if not events or await _decide(services, model_id, events, caller) else PENDING)


async def _decide(services: Services, model_id: str, events: Sequence[Event], caller: Caller) -> bool:
    """Append events about a model and return whether the fold has accepted them in time."""
    written = await services.appender.append(partition_of(model_id), events, caller.actor())
    return await services.visibility.outcome(written)


def _params(params: Sequence[KeyValue]) -> dict[str, str]:
    refuse_twice(params)
    for param in params:
        refuse_key("param", param.key)
    return {param.key: param_text(param.text) for param in params}


def _tags(tags: Sequence[KeyValue]) -> dict[str, str]:
    for tag in tags:
        refuse_key("tag", tag.key)
    return {tag.key: tag_text(tag.text) for tag in tags}
