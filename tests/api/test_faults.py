"""What a client is told when the log refuses or fails, and when nobody projects."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrail_core.events import ParamLogged
from mltrail_core.ids import CONTROL, partition_of
from mltrail_core.log import EventLog, NewRecord
from mltrail_core.record import Actor, Record, freeze_record
from mltrail_projector.loop import catch_up
from mltrail_projector.positions import mark_halted
from tests.api.logs import FaultyLog
from tests.api.running import RunningApi, running_api, wait_until


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[tuple[RunningApi, FaultyLog]]:
    """A running mltrail, and the log that can be made to fail."""
    logs: list[FaultyLog] = []

    def wrap(log: EventLog) -> EventLog:
        logs.append(FaultyLog(log))
        return logs[0]

    with running_api(tmp_path, wrap_log=wrap) as running:
        yield running, logs[0]


METRIC = {"key": "loss", "value": 1, "timestamp": 1}


@pytest.mark.parametrize(
    ("fault", "status", "error_code", "retry_after"),
    [("full", 429, "RESOURCE_EXHAUSTED", "30"), ("down", 503, "TEMPORARILY_UNAVAILABLE", "2")],
)
def test_a_log_that_is_full_or_down_is_said_with_when_to_come_again(
    faulty: tuple[RunningApi, FaultyLog], fault: str, status: int, error_code: str, retry_after: str
) -> None:
    api, log = faulty
    run_id = api.create_run()
    head = log.heads()[partition_of(run_id)]
    log.faults = [fault]
    response = api.post("/runs/log-metric", {"run_id": run_id, **METRIC})
    assert (response.status_code, response.json()["error_code"]) == (status, error_code)
    assert response.headers["retry-after"] == retry_after
    assert log.heads()[partition_of(run_id)] == head
    assert api.post("/runs/log-metric", {"run_id": run_id, **METRIC}).status_code == 200


def test_a_rejection_is_told_also_when_the_append_went_out_twice(faulty: tuple[RunningApi, FaultyLog]) -> None:
    api, log = faulty
    api.create_experiment("taken")
    log.faults = ["unknown, done"]
    response = api.post("/experiments/create", {"name": "taken"})
    assert (response.status_code, response.json()["error_code"]) == (400, "RESOURCE_ALREADY_EXISTS")


def test_a_param_that_lost_a_race_is_refused_by_the_fold(faulty: tuple[RunningApi, FaultyLog]) -> None:
    api, log = faulty
    run_id = api.create_run()
    partition = partition_of(run_id)
    other = Record(partition, api.services.appender.producer, 999, Actor("eve"), (ParamLogged(1, run_id, "lr", "9"),))
    api.stop_projector()
    log.inner.append([NewRecord(partition, freeze_record(other))])  # after the API's look, before its append
    before = log.heads()[partition]
    answers = []

    def project_late() -> bool:
        if log.heads()[partition] == before:
            return False
        catch_up(api.log, api.read_model)
        return True

    thread = threading.Thread(
        target=lambda: answers.append(api.post("/runs/log-parameter", {"run_id": run_id, "key": "lr", "value": "1"}))
    )
    thread.start()
    wait_until(project_late)
    thread.join()
    [answer] = answers
    assert answer.status_code == 400
    assert "'9'" in answer.json()["message"]
    assert "'1'" in answer.json()["message"]


def test_without_a_projector_writes_are_durable_and_say_that_the_outcome_is_pending(
    faulty: tuple[RunningApi, FaultyLog],
) -> None:
    api, log = faulty
    run_id = api.create_run()
    _read_and_disown(api, run_id)
    api.stop_projector()
    head = log.heads()[partition_of(run_id)]
    metric = api.post("/runs/log-metric", {"run_id": run_id, **METRIC})
    assert metric.status_code == 200
    assert "x-mltrail-outcome" not in metric.headers
    param = api.post("/runs/log-parameter", {"run_id": run_id, "key": "lr", "value": "1"})
    assert (param.status_code, param.headers["x-mltrail-outcome"]) == (200, "pending")
    assert log.heads()[partition_of(run_id)] == head + 2
    stale = api.get("/runs/get", run_id=run_id)
    assert (stale.status_code, stale.headers["x-mltrail-consistency"]) == (200, "stale")
    assert "params" not in stale.json()["run"]["data"]
    api.start_projector()
    current = api.get("/runs/get", run_id=run_id)
    assert current.headers["x-mltrail-consistency"] == "current"
    assert current.json()["run"]["data"]["params"] == [{"key": "lr", "value": "1"}]


def test_a_halted_partition_is_not_waited_for(faulty: tuple[RunningApi, FaultyLog]) -> None:
    api, _ = faulty
    run_id = api.create_run()
    _read_and_disown(api, run_id)
    api.stop_projector()
    mark_halted(api.read_model, api.read_model.live_generation(), CONTROL, "a handler raised")
    mark_halted(api.read_model, api.read_model.live_generation(), partition_of(run_id), "a handler raised")
    response = api.post("/runs/log-parameter", {"run_id": run_id, "key": "lr", "value": "1"})
    assert response.headers["x-mltrail-outcome"] == "pending"
    assert response.elapsed.total_seconds() < 1.5  # the bound for one that is only late is 2 s
    response = api.get("/runs/get", run_id=run_id)
    assert response.headers["x-mltrail-consistency"] == "stale"
    assert response.elapsed.total_seconds() < 1.5


def test_an_eventual_read_waits_for_nothing(faulty: tuple[RunningApi, FaultyLog]) -> None:
    api, _ = faulty
    run_id = api.create_run()
    assert api.get("/runs/get", run_id=run_id).status_code == 200
    api.stop_projector()
    api.post("/runs/log-metric", {"run_id": run_id, **METRIC})
    response = api.get("/runs/get", run_id=run_id, consistency="eventual")
    assert response.status_code == 200
    assert response.elapsed.total_seconds() < 1.5
    late = api.post("/runs/search", {"experiment_ids": ["0"]})
    assert late.headers["x-mltrail-consistency"] == "stale"
    assert late.elapsed.total_seconds() < 1.5  # a search waits 250 ms at most


def _read_and_disown(api: RunningApi, run_id: str) -> None:
    """Wait until the run is projected, and let its params wait as if another worker had begun it."""
    assert api.get("/runs/get", run_id=run_id).status_code == 200
    api.services.own_runs.forget(run_id)
