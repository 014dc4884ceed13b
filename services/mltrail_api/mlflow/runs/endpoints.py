"""MLflow's endpoints of a run as a whole: create, get, update, delete, restore."""

from __future__ import annotations

from mltrail_api.mlflow.endpoint import PENDING, Answer, Caller, seen_answer
from mltrail_api.mlflow.experiments.active import active_experiment
from mltrail_api.mlflow.limits import refuse_key, refuse_timestamp, tag_text
from mltrail_api.mlflow.runs.beginning import RUN_NAME_TAG, beginning_in, has_two_names
from mltrail_api.mlflow.runs.requests import CreateRun, RunById, UpdateRun
from mltrail_api.mlflow.runs.view import info_json, run_json
from mltrail_api.search.view import load_run
from mltrail_api.services import Services
from mltrail_api.visibility import EVENTUAL, freshness_of
from mltrail_core.clock import now_us
from mltrail_core.errors import Invalid
from mltrail_core.events import Event, RunDeleted, RunRenamed, RunRestored, RunStatusChanged
from mltrail_core.ids import partition_of


async def create(services: Services, request: CreateRun, caller: Caller) -> Answer:
    """Begin a run in an active experiment and answer it, as it was sent."""
    if request.start_time is not None:
        refuse_timestamp("start_time", request.start_time)
    tags = {}
    for tag in request.tags:
        refuse_key("tag", tag.key)
        tags[tag.key] = tag_text(tag.text)
    if has_two_names(request.run_name, tags):
        raise Invalid(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
            f"(run_name='{request.run_name}', mlflow.runName='{tags[RUN_NAME_TAG]}')."
        )
    experiment = await active_experiment(services, request.experiment_id)
    run = beginning_in(experiment, request.run_name, request.user_id, request.start_time, tags)
    actor = caller.actor(run.state.user)
    run.note(services, await services.appender.append(partition_of(run.state.run_id), run.events, actor))
    return Answer(run.answer)


async def get(services: Services, request: RunById, caller: Caller) -> Answer:
    """Answer a run with the last value of each metric, deleted or not."""
    seen = await services.visibility.read(
        lambda connection: load_run(connection, request.run_id), caller.asks_for(freshness_of(request.run_id))
    )
    if seen.value is None:
        raise seen.absence(f"Run with id={request.run_id[:300]} not found")
    return seen_answer(seen, {"run": run_json(seen.value)})


async def update(services: Services, request: UpdateRun, caller: Caller) -> Answer:
    """Change status, end or name of a run, and answer its info."""
    if request.end_time is not None:
        refuse_timestamp("end_time", request.end_time)
    state = await services.run_states.writable(request.run_id)
    events: list[Event] = []
    if request.status is not None or request.end_time is not None:
        # An end that comes without a status leaves the status as it is, so it is said again.
        status = request.status
        if status is None:
            status = (await services.run_states.known(request.run_id, is_current=True)).status
        ended_us = None if request.end_time is None else request.end_time * 1000
        events.append(RunStatusChanged(now_us(), request.run_id, status, ended_us))
    if request.run_name:
        events.append(RunRenamed(now_us(), request.run_id, tag_text(request.run_name)))
    is_projected = True
    if events:
        actor = caller.actor(state.user)
        written = await services.appender.append(partition_of(request.run_id), events, actor)
        is_projected = await services.visibility.outcome(written)
    freshness = EVENTUAL if events else freshness_of(request.run_id)
    seen = await services.visibility.read(lambda connection: load_run(connection, request.run_id), freshness)
    info: dict[str, object] = {"run_id": request.run_id} if seen.value is None else info_json(seen.value)
    if not is_projected:
        info.update(_sent(request))
    return Answer({"run_info": info}, {} if is_projected else PENDING)


async def delete(services: Services, request: RunById, caller: Caller) -> Answer:
    """Delete a run; nothing is removed, and a run that is deleted already stays so."""
    return await _decide(services, RunDeleted(now_us(), request.run_id), request.run_id, caller)


async def restore(services: Services, request: RunById, caller: Caller) -> Answer:
    """Make a run active again."""
    return await _decide(services, RunRestored(now_us(), request.run_id), request.run_id, caller)


async def _decide(services: Services, event: RunDeleted | RunRestored, run_id: str, caller: Caller) -> Answer:
    state = await services.run_states.known(run_id)
    actor = caller.actor(state.user)
    services.own_runs.forget(run_id)  # what is logged to it from now on may be refused
    written = await services.appender.append(partition_of(run_id), [event], actor)
    is_projected = await services.visibility.outcome(written)
    services.run_states.forget(run_id)
    return Answer(headers={} if is_projected else PENDING)


def _sent(request: UpdateRun) -> dict[str, object]:
    sent = {"status": request.status, "end_time": request.end_time, "run_name": request.run_name or None}
    return {name: value for name, value in sent.items() if value is not None}
