"""A run that is about to begin: the events that say so and the answer to whoever asked, the same on every way in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mltrail_api.appender import Written
from mltrail_api.mlflow.limits import tag_text
from mltrail_api.mlflow.runs.names import random_run_name
from mltrail_api.mlflow.runs.queries import RunState
from mltrail_api.search.experiment_view import ExperimentView
from mltrail_api.services import Services
from mltrail_core.clock import now_us
from mltrail_core.events import Event, RunCreated, TagSet
from mltrail_core.ids import new_run_id

RUN_NAME_TAG = "mlflow.runName"
USER_TAG = "mlflow.user"


@dataclass(frozen=True, slots=True)
class Beginning:
    """A run whose events are still to be appended, as one record."""

    state: RunState
    events: list[Event]
    answer: Mapping[str, object]
    """The run as it was sent."""

    def note(self, services: Services, written: Written) -> None:
        """Take note that the events are durable: whoever writes to the run from now on need not wait for them."""
        services.run_states.begin(self.state)
        services.own_runs.begin(self.state.run_id, written)


def has_two_names(run_name: str, tags: Mapping[str, str]) -> bool:
    """Return whether a tag names the run otherwise than the request does."""
    return bool(run_name) and tags.get(RUN_NAME_TAG, run_name) != run_name


def beginning_in(
    experiment: ExperimentView, run_name: str, user_id: str, start_ms: int | None, tags: Mapping[str, str]
) -> Beginning:
    """Return a new run of an experiment that is active.

    Nobody knows its id before it is answered, so the fold can't refuse it, as long as all values were checked: see
    docs/decisions/0017. Whoever reads the run waits for the projector, as for any other write.

    Args:
        run_name: a tag may give the name, too; empty in both makes one up.
        user_id: a tag may name the user, too.
        start_ms: now when it is None.
        tags: with keys that were checked and values that were cut.
    """
    at_us = now_us()
    start_ms = at_us // 1000 if start_ms is None else start_ms
    name = tag_text(run_name or tags.get(RUN_NAME_TAG, "") or random_run_name())
    experiment_id, run_id = experiment.experiment_id, new_run_id()
    user = user_id or tags.get(USER_TAG, "")
    events: list[Event] = [RunCreated(at_us, run_id, experiment_id, name, user, start_ms * 1000)]
    events += [TagSet(at_us, run_id, key, value) for key, value in tags.items() if key != RUN_NAME_TAG]
    info = {
        "run_uuid": run_id,
        "experiment_id": experiment_id,
        "run_name": name,
        "user_id": user,
        "status": "RUNNING",
        "start_time": start_ms,
        "artifact_uri": f"{experiment.artifact_location.rstrip('/')}/{run_id}/artifacts",
        "lifecycle_stage": "active",
        "run_id": run_id,
    }
    data = {"tags": [{"key": key, "value": value} for key, value in {**tags, RUN_NAME_TAG: name}.items()]}
    state = RunState(run_id, experiment_id, user, "RUNNING", False, False)
    return Beginning(state, events, {"run": {"info": info, "data": data, "inputs": {}}})
