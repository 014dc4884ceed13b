"""`runs/log-model`: what MLflow 2 noted about a model in a tag of its run; the Spark flavors of MLflow 3 still do."""

from __future__ import annotations

import json

from mltrail_api.mlflow.endpoint import PENDING, Answer, Caller
from mltrail_api.mlflow.limits import refuse
from mltrail_api.mlflow.runs.requests import LogModel
from mltrail_api.search.view import load_run
from mltrail_api.services import Services
from mltrail_api.visibility import freshness_of
from mltrail_core.clock import now_us
from mltrail_core.errors import Invalid
from mltrail_core.events import TagSet
from mltrail_core.ids import partition_of
from mltrail_core.rules import MAX_TAG_CHARACTERS, text_fault

HISTORY_TAG = "mlflow.log-model.history"
_REQUIRED = ("artifact_path", "flavors", "utc_time_created", "run_id")


async def log_model(services: Services, request: LogModel, caller: Caller) -> Answer:
    """Add a model to the list in the run's tag `mlflow.log-model.history`, as `Model.get_tags_dict` sums it up."""
    noted = _noted(request.model_json)
    state = await services.run_states.writable(request.run_id)
    seen = await services.visibility.read(
        lambda connection: load_run(connection, request.run_id), freshness_of(request.run_id)
    )
    before = dict(seen.value.tags).get(HISTORY_TAG) if seen.value is not None else None
    value = json.dumps([*_history(before), noted])
    refuse(text_fault(f"value of tag {HISTORY_TAG!r}", value, MAX_TAG_CHARACTERS))
    event = TagSet(now_us(), request.run_id, HISTORY_TAG, value)
    written = await services.appender.append(partition_of(request.run_id), [event], caller.actor(state.user))
    return Answer(headers={} if await services.visibility.outcome(written) else PENDING)


def _noted(model_json: str) -> dict[str, object]:
    try:
        model = json.loads(model_json)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"Malformed model info: {model_json[:200]!r} is not valid JSON: {error}") from error
    if not isinstance(model, dict) or not isinstance(model.get("flavors", {}), dict):
        raise Invalid("Malformed model info: expected an object whose 'flavors' is an object")
    missing = sorted(set(_REQUIRED) - set(model))
    if missing:
        raise Invalid(f"Model json is missing mandatory fields: {', '.join(missing)}")
    flavors = {
        flavor: {key: value for key, value in config.items() if key != "config"} if isinstance(config, dict) else config
        for flavor, config in model["flavors"].items()
    }
    kept = {name: model.get(name) for name in ("run_id", "artifact_path", "utc_time_created", "model_uuid")}
    return {**kept, "flavors": flavors}


def _history(before: str | None) -> list[object]:
    if before is None:
        return []
    try:
        history = json.loads(before)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"tag {HISTORY_TAG!r} of the run holds no JSON; delete it to log models: {error}") from error
    return history if isinstance(history, list) else [history]
