"""MLflow's endpoints that log to a run: metrics, params, tags, inputs and outputs.

Metrics, tags, inputs and outputs are answered once durable. Params wait for the fold's word, since it may refuse them:
all but those of a run that this worker began, as long as nobody else has written to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from mltrail_api.appender import Written
from mltrail_api.mlflow.endpoint import PENDING, Answer, Caller
from mltrail_api.mlflow.limits import (
    param_text,
    refuse,
    refuse_batch,
    refuse_key,
    refuse_timestamp,
    refuse_twice,
    tag_text,
)
from mltrail_api.mlflow.runs.queries import RunState, params_of
from mltrail_api.mlflow.runs.requests import (
    DatasetInput,
    DeleteTag,
    LogBatch,
    LogInputs,
    LogMetric,
    LogOutputs,
    LogParam,
    Metric,
    SetTag,
)
from mltrail_api.services import Services
from mltrail_api.visibility import EVENTUAL, freshness_of
from mltrail_core.clock import now_us
from mltrail_core.errors import Invalid, NotFound
from mltrail_core.events import (
    DatasetInputLogged,
    Event,
    MetricsLogged,
    ModelInputLogged,
    ModelOutputLogged,
    ParamLogged,
    TagDeleted,
    TagSet,
)
from mltrail_core.ids import partition_of
from mltrail_core.metric_block import MetricPoint, event_of_points
from mltrail_core.rules import dataset_fault, id_fault, param_change_message, text_fault

_MAX_DATASET_NAME, _MAX_DATASET_DIGEST = 500, 36
_MAX_DATASET_SOURCE, _MAX_DATASET_SCHEMA, _MAX_DATASET_PROFILE = 65_535, 1_048_575, 16_777_215
_MAX_INPUT_TAG_KEY, _MAX_INPUT_TAG_VALUE = 255, 500


async def log_metric(services: Services, request: LogMetric, caller: Caller) -> Answer:
    """Log one point."""
    events = metric_events(request.run_id, [request], now_us())
    return await _append_durably(services, request.run_id, events, caller)


async def log_param(services: Services, request: LogParam, caller: Caller) -> Answer:
    """Log one param; a value that differs from the one it has is refused."""
    refuse_key("param", request.key)
    params = {request.key: param_text(request.value)}
    return await _append_params(services, request.run_id, params, [], caller)


async def log_batch(services: Services, request: LogBatch, caller: Caller) -> Answer:
    """Log points, params and tags as one record; when a param is refused beforehand, nothing is logged."""
    refuse_batch(len(request.metrics), len(request.params), len(request.tags))
    refuse_twice(request.params)
    at_us = now_us()
    params: dict[str, str] = {}
    for param in request.params:
        refuse_key("param", param.key)
        params[param.key] = param_text(param.text)
    for tag in request.tags:
        refuse_key("tag", tag.key)
    events: list[Event] = list(metric_events(request.run_id, request.metrics, at_us))
    events += [TagSet(at_us, request.run_id, tag.key, tag_text(tag.text)) for tag in request.tags]
    if params:
        return await _append_params(services, request.run_id, params, events, caller)
    return await _append_durably(services, request.run_id, events, caller)


async def set_tag(services: Services, request: SetTag, caller: Caller) -> Answer:
    """Give a tag of the run this value; the tag `mlflow.runName` names the run."""
    refuse_key("tag", request.key)
    event = TagSet(now_us(), request.run_id, request.key, tag_text(request.value))
    return await _append_durably(services, request.run_id, [event], caller)


async def delete_tag(services: Services, request: DeleteTag, caller: Caller) -> Answer:
    """Remove a tag of the run; one that is not there is not found."""
    state = await services.run_states.writable(request.run_id)
    event = TagDeleted(now_us(), request.run_id, request.key)
    try:
        return await _append_and_wait(services, state, [event], caller)
    except NotFound as error:
        raise NotFound(f"No tag with name: {request.key} in run with id {request.run_id}") from error


async def log_inputs(services: Services, request: LogInputs, caller: Caller) -> Answer:
    """Note which datasets and logged models the run read."""
    at_us = now_us()
    events: list[Event] = [_dataset_event(request.run_id, dataset, at_us) for dataset in request.datasets]
    events += [ModelInputLogged(at_us, request.run_id, model.model_id) for model in request.models]
    return await _append_durably(services, request.run_id, events, caller)


async def log_outputs(services: Services, request: LogOutputs, caller: Caller) -> Answer:
    """Note which logged models the run produced, and at which step."""
    at_us = now_us()
    events = [ModelOutputLogged(at_us, request.run_id, model.model_id, model.step or 0) for model in request.models]
    return await _append_durably(services, request.run_id, events, caller)


def metric_events(run_id: str, metrics: Sequence[Metric], at_us: int) -> list[MetricsLogged]:
    """Return the events that log these points: one for each logged model and dataset that they are linked to.

    Raises:
        Invalid: a key or time that no metric can have.
    """
    groups: dict[tuple[str | None, str | None, str | None], list[MetricPoint]] = {}
    checked: set[str] = set()
    for metric in metrics:
        if metric.key not in checked:
            refuse_key("metric", metric.key)
            checked.add(metric.key)
        refuse_timestamp("timestamp", metric.timestamp)
        link = (metric.model_id or None, metric.dataset_name or None, metric.dataset_digest or None)
        if link not in groups:
            refuse(None if link[0] is None else id_fault(link[0]))
            refuse(dataset_fault(link[1] or "", link[2] or "") if link[1] or link[2] else None)
        point = MetricPoint(metric.key, metric.value, metric.step or 0, metric.timestamp * 1000)
        groups.setdefault(link, []).append(point)
    return [
        event_of_points(
            run_id, at_us, points, model_id=model_id, dataset_name=dataset_name, dataset_digest=dataset_digest
        )
        for (model_id, dataset_name, dataset_digest), points in groups.items()
    ]


async def _append_durably(services: Services, run_id: str, events: Sequence[Event], caller: Caller) -> Answer:
    state = await services.run_states.writable(run_id)
    if events:
        await services.appender.append(partition_of(run_id), events, caller.actor(state.user))
    return Answer()


async def _append_params(
    services: Services, run_id: str, params: dict[str, str], others: Sequence[Event], caller: Caller
) -> Answer:
    state = await services.run_states.writable(run_id)
    at_us = now_us()
    events: list[Event] = [ParamLogged(at_us, run_id, key, value) for key, value in params.items()]
    events += others
    freshness = EVENTUAL
    if services.own_runs.contradicts(run_id, params):
        services.own_runs.forget(run_id)
        freshness = freshness_of(run_id)  # what they contradict may be certain, and not projected yet
    elif (own := services.own_runs.claim(run_id, params)) is not None:
        written = await services.appender.append(partition_of(run_id), events, caller.actor(state.user))
        if own.is_certain(written):
            return Answer()
        services.own_runs.forget(run_id)
        return await _decided(services, written)
    # A look before the append keeps a batch whole, as stock does; what slips through a race, the fold refuses.
    seen = await services.visibility.read(lambda connection: params_of(connection, run_id, list(params)), freshness)
    for key, old in seen.value.items():
        if old != params[key]:
            raise Invalid(param_change_message(run_id, key, old, params[key]))
    return await _append_and_wait(services, state, events, caller)


async def _append_and_wait(services: Services, state: RunState, events: Sequence[Event], caller: Caller) -> Answer:
    written = await services.appender.append(partition_of(state.run_id), events, caller.actor(state.user))
    return await _decided(services, written)


async def _decided(services: Services, written: Written) -> Answer:
    return Answer(headers={} if await services.visibility.outcome(written) else PENDING)


def _dataset_event(run_id: str, given: DatasetInput, at_us: int) -> DatasetInputLogged:
    dataset = given.dataset
    for what, value, limit in (
        ("dataset's name", dataset.name, _MAX_DATASET_NAME),
        ("dataset's digest", dataset.digest, _MAX_DATASET_DIGEST),
        ("dataset's source", dataset.source, _MAX_DATASET_SOURCE),
        ("dataset's schema", dataset.schema_ or "", _MAX_DATASET_SCHEMA),
        ("dataset's profile", dataset.profile or "", _MAX_DATASET_PROFILE),
    ):
        refuse(text_fault(what, value, limit))
    for tag in given.tags:
        refuse(text_fault("key of an input's tag", tag.key, _MAX_INPUT_TAG_KEY))
        refuse(text_fault(f"value of the input's tag {tag.key!r}", tag.text, _MAX_INPUT_TAG_VALUE))
    return DatasetInputLogged(
        at_us,
        run_id,
        dataset.name,
        dataset.digest,
        dataset.source_type,
        dataset.source,
        dataset.schema_ or None,
        dataset.profile or None,
        tuple((tag.key, tag.text) for tag in given.tags),
    )
