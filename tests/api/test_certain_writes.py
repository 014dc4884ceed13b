"""Writes whose outcome is certain are answered before anything is projected; all others wait for the fold's word."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from mltrail_api.appender import Appender, Written
from mltrail_api.begun import Found
from mltrail_api.mlflow.runs.own_runs import MAX_CHARACTERS, OwnRuns
from mltrail_core.events import ParamLogged, RunCreated
from mltrail_core.ids import new_producer_id, new_run_id, partition_of
from mltrail_core.log import Appended, NewRecord
from mltrail_core.record import Actor, Record, freeze_record
from tests.api.running import RunningApi, running_api


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """A running mltrail whose projector these tests stop and start."""
    with running_api(tmp_path_factory.mktemp("mltrail")) as running:
        yield running


@pytest.fixture
def unprojected(alone: RunningApi) -> Iterator[RunningApi]:
    """The same while nothing is projected."""
    alone.stop_projector()
    yield alone
    alone.start_projector()


def _log_params(api: RunningApi, run_id: str, **params: str) -> httpx.Response:
    given = [{"key": key, "value": value} for key, value in params.items()]
    metric = {"key": "loss", "value": 0.5, "timestamp": 1, "step": 0}
    return api.post("/runs/log-batch", {"run_id": run_id, "params": given, "metrics": [metric]})


def _is_pending(response: httpx.Response) -> bool:
    assert response.status_code == 200, response.text
    return bool(response.headers.get("x-mltrail-outcome") == "pending")


def _append_as_another(api: RunningApi, run_id: str, key: str, value: str) -> None:
    event = ParamLogged(1, run_id, key, value)
    record = Record(partition_of(run_id), new_producer_id(), 1, Actor("eve"), (event,))
    api.log.append([NewRecord(record.partition, freeze_record(record))])


def _data(api: RunningApi, run_id: str) -> dict[str, list[dict[str, object]]]:
    response = api.get("/runs/get", run_id=run_id)
    assert response.headers["x-mltrail-consistency"] == "current"
    data: dict[str, list[dict[str, object]]] = response.json()["run"]["data"]
    return data


def test_a_run_and_its_params_are_answered_before_they_are_projected_and_then_are_there(alone: RunningApi) -> None:
    alone.stop_projector()
    run_id = alone.create_run()
    assert not _is_pending(_log_params(alone, run_id, lr="1", depth="3"))
    assert not _is_pending(alone.post("/runs/log-parameter", {"run_id": run_id, "key": "lr", "value": "1"}))
    stale = alone.get("/runs/get", run_id=run_id)
    assert stale.status_code == 503  # nobody is told that it does not exist
    alone.start_projector()
    assert {(param["key"], param["value"]) for param in _data(alone, run_id)["params"]} == {("lr", "1"), ("depth", "3")}


def test_params_wait_once_somebody_else_wrote_to_the_partition(unprojected: RunningApi) -> None:
    run_id = unprojected.create_run()
    _append_as_another(unprojected, run_id, "lr", "9")
    assert _is_pending(_log_params(unprojected, run_id, lr="1"))
    unprojected.start_projector()
    assert _data(unprojected, run_id)["params"] == [{"key": "lr", "value": "9"}]
    unprojected.stop_projector()


def test_another_value_is_refused_and_nothing_of_its_batch_is_logged(alone: RunningApi) -> None:
    run_id = alone.create_run()
    assert not _is_pending(alone.post("/runs/log-parameter", {"run_id": run_id, "key": "lr", "value": "1"}))
    refused = _log_params(alone, run_id, lr="2")
    assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    data = _data(alone, run_id)
    assert data["params"] == [{"key": "lr", "value": "1"}]
    assert "metrics" not in data


def test_params_of_a_run_wait_after_it_was_deleted_and_restored(alone: RunningApi) -> None:
    run_id = alone.create_run()
    assert alone.post("/runs/delete", {"run_id": run_id}).status_code == 200
    assert _log_params(alone, run_id, lr="1").status_code == 400
    assert alone.post("/runs/restore", {"run_id": run_id}).status_code == 200
    alone.stop_projector()
    assert _is_pending(_log_params(alone, run_id, lr="1"))
    alone.start_projector()
    assert _data(alone, run_id)["params"] == [{"key": "lr", "value": "1"}]


def test_no_run_begins_in_an_experiment_that_was_deleted(alone: RunningApi) -> None:
    experiment_id = alone.create_experiment("to be deleted")
    run_id = alone.create_run(experiment_id)
    assert alone.post("/experiments/delete", {"experiment_id": experiment_id}).status_code == 200
    refused = alone.post("/runs/create", {"experiment_id": experiment_id})
    assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert _log_params(alone, run_id, lr="1").status_code == 400


def test_a_run_whose_creation_may_stand_twice_is_not_relied_upon() -> None:
    runs, run_id = OwnRuns(), new_run_id()
    runs.begin(run_id, _written(run_id, 5, may_be_twice=True))
    assert runs.claim(run_id, {"lr": "1"}) is None


def test_params_are_certain_only_while_all_records_since_the_creation_are_this_workers() -> None:
    runs, run_id = OwnRuns(), new_run_id()
    runs.begin(run_id, _written(run_id, 5, alone_since=2))
    own = runs.claim(run_id, {"lr": "1"})
    assert own is not None
    assert own.is_certain(_written(run_id, 9, alone_since=2))
    assert own.is_certain(_written(run_id, 9, alone_since=5))
    assert not own.is_certain(_written(run_id, 9, alone_since=6))
    assert not own.is_certain(_written(run_id, 9, alone_since=2, may_be_twice=True))


def test_the_oldest_runs_are_forgotten_when_their_params_grow_too_large() -> None:
    runs = OwnRuns()
    old, large = new_run_id(), new_run_id()
    for run_id in (old, large):
        runs.begin(run_id, _written(run_id, 1))
    runs.claim(large, {"text": "x" * MAX_CHARACTERS})
    assert runs.claim(old, {"lr": "1"}) is None


def test_records_of_others_end_the_row_of_a_workers_own(alone: RunningApi) -> None:
    run_id = new_run_id()
    partition, events = partition_of(run_id), [RunCreated(1, run_id, "0", "run", "ada", 1)]
    foreign = Record(partition, new_producer_id(), 1, Actor("eve"), tuple(events))
    appender = Appender(alone.log)

    async def append_four() -> list[Written]:
        written = [await appender.append(partition, events, Actor("ada")) for _ in range(2)]
        await appender.append_frozen([(foreign, freeze_record(foreign))])
        written.append(await appender.append(partition, events, Actor("ada")))
        _append_as_another(alone, run_id, "lr", "9")
        return [*written, await appender.append(partition, events, Actor("ada"))]

    with closing(appender):
        first, second, third, fourth = asyncio.run(append_four())
    assert second.alone_since == first.alone_since == first.appended.index
    assert third.alone_since == third.appended.index
    assert fourth.alone_since == fourth.appended.index


def test_what_was_found_before_a_change_of_this_worker_is_not_remembered_after_it() -> None:
    found = Found[str]()
    noted = found.changes
    found.remember("7", "active", noted)
    assert found.get("7") == "active"
    found.forget_all()  # the experiment is deleted while a query that found it active is on its way back
    found.remember("7", "active", noted)
    assert found.get("7") is None


def _written(run_id: str, index: int, *, alone_since: int = 1, may_be_twice: bool = False) -> Written:
    return Written(Appended(partition_of(run_id), index, 1), new_producer_id(), 1, may_be_twice, alone_since)
