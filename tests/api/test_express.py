"""The lane beside ASGI: what it takes is logged and answered as the long way would, and the rest takes the long way."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from mltrail_api.mlflow.runs.own_runs import OwnRun
from mltrail_api.visibility import Visibility
from mltrail_cli.server.express_protocol import MAX_HELD_BYTES
from mltrail_core.events import Event, ParamLogged, RunCreated, TagSet
from mltrail_core.ids import new_producer_id, partition_of
from mltrail_core.log import EventLog, NewRecord
from mltrail_core.record import Actor, Record, decode_record, freeze_record
from tests.api.logs import FaultyLog
from tests.api.running import RunningApi, running_api, wait_until

LONG_WAY = {"X-Mltrail-Actor": "ada"}
"""A header that the lane leaves to ASGI; it names the user of the tests' runs."""

POINT = {"key": "loss", "value": 0.5, "timestamp": 1_700_000_000_000, "step": 3}
TEAM = {"key": "team", "value": "vision"}
TAKEN: list[tuple[str, dict[str, object]]] = [
    ("/runs/log-metric", POINT),
    ("/runs/log-metric", {"key": "a b/c", "value": -3, "timestamp": 0, "run_uuid": "ignored"}),
    ("/runs/log-batch", {"metrics": [POINT, {**POINT, "key": "acc", "value": 1}, {**POINT, "step": -(2**63)}]}),
    ("/runs/log-batch", {"tags": [{"key": "team", "value": "x" * 9000}], "metrics": [POINT], "params": []}),
    ("/runs/log-batch", {"tags": [{"key": "team", "value": ""}]}),
    ("/runs/log-batch", {"params": [{"key": "lr", "value": "0.1"}, {"key": "note", "value": "x" * 7000}]}),
    (
        "/runs/log-batch",
        {"metrics": [POINT], "params": [{"key": "lr", "value": ""}], "tags": [{"key": "a", "value": "b"}]},
    ),
    ("/runs/set-tag", {"key": "mlflow.note.content", "value": "ä" * 10}),
]
NOT_PLAIN: list[tuple[str, dict[str, object]]] = [
    ("/runs/log-metric", {**POINT, "value": "NaN"}),
    ("/runs/log-metric", {**POINT, "step": "7", "value": 10**400}),
    ("/runs/log-metric", {**POINT, "step": None}),
    ("/runs/log-metric", {**POINT, "step": True}),
    ("/runs/log-metric", {**POINT, "step": 2**63}),
    ("/runs/log-metric", {**POINT, "timestamp": -1}),
    ("/runs/log-metric", {**POINT, "key": "../up"}),
    ("/runs/log-metric", {**POINT, "modelId": "m-1"}),
    ("/runs/log-metric", {"key": "loss"}),
    ("/runs/log-batch", {}),
    ("/runs/log-batch", {"metrics": [POINT] * 1001}),
    ("/runs/log-batch", {"metrics": [POINT, {**POINT, "dataset_name": "d", "dataset_digest": "e"}]}),
    ("/runs/log-batch", {"metrics": [{**POINT, "value": "-Infinity"}]}),
    ("/runs/log-batch", {"metrics": [{"key": "loss", "value": 1, "timestamp": 2, "other": 4}]}),
    ("/runs/log-batch", {"metrics": [{**POINT, "timestamp": 2**63}]}),
    ("/runs/log-batch", {"metrics": [{**POINT, "key": "a//b"}]}),
    ("/runs/log-batch", {"metrics": POINT}),
    ("/runs/log-batch", {"tags": [{"key": "team"}]}),
    ("/runs/log-batch", {"params": [{"key": "lr", "value": "0.1"}, {"key": "lr", "value": "0.1"}]}),
    ("/runs/log-batch", {"params": [{"key": "lr"}]}),
    ("/runs/log-batch", {"params": [{"key": "../up", "value": "0.1"}]}),
    ("/runs/log-batch", {"params": [{"key": f"{n}", "value": ""} for n in range(101)]}),
    ("/runs/set-tag", {"key": "k", "value": "nul \0"}),
    ("/runs/set-tag", {"key": "k"}),
]


@pytest.fixture(scope="module")
def log_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningApi, FaultyLog]]:
    logs: list[FaultyLog] = []

    def wrap(log: EventLog) -> EventLog:
        logs.append(FaultyLog(log))
        return logs[0]

    with running_api(tmp_path_factory.mktemp("express"), wrap_log=wrap) as running:
        yield running, logs[0]


def warm_run(api: RunningApi) -> str:
    """Return a run that this worker wrote to a moment ago."""
    run_id = api.create_run()
    assert api.post("/runs/set-tag", {"run_id": run_id, "key": "warm", "value": "1"}).status_code == 200
    return run_id


def last_record(api: RunningApi, run_id: str) -> Record:
    partition = partition_of(run_id)
    head = api.log.heads()[partition]
    return decode_record(api.log.read(partition, after=head - 1)[0].frozen)


def untimed(events: tuple[Event, ...]) -> list[Event]:
    return [replace(event, occurred_us=0) for event in events]


@pytest.mark.parametrize(("path", "body"), TAKEN)
def test_what_the_lane_takes_is_logged_as_by_the_long_way(
    api: RunningApi, taken: list[bool], path: str, body: dict[str, object]
) -> None:
    run_id = warm_run(api)
    taken.clear()
    url, named = f"{api.url}/ajax-api/2.0/mlflow{path}", {**body, "run_id": run_id}
    short = api.client.post(url, json=named)
    by_lane = last_record(api, run_id)
    long = api.client.post(url, json=named, headers=LONG_WAY)
    by_asgi = last_record(api, run_id)
    assert taken == [True, False]
    assert (short.status_code, short.content) == (long.status_code, long.content) == (200, b"{}")
    assert short.headers["content-type"] == long.headers["content-type"]
    assert by_asgi.sequence == by_lane.sequence + 1
    assert untimed(by_lane.events) == untimed(by_asgi.events)
    assert (by_lane.actor, by_lane.producer) == (by_asgi.actor, by_asgi.producer)


@pytest.mark.parametrize(("path", "body"), NOT_PLAIN)
def test_what_is_not_plain_takes_the_long_way(
    api: RunningApi, taken: list[bool], path: str, body: dict[str, object]
) -> None:
    run_id = warm_run(api)
    taken.clear()
    api.post(path, {**body, "run_id": run_id})
    assert taken == [False]


RUNS: list[dict[str, object]] = [
    {"user_id": "ada", "run_name": "gbm", "start_time": 1_700_000_000_000},
    {"run_name": "gbm", "tags": [{"key": "team", "value": "x" * 9000}, {"key": "team", "value": "b"}]},
    {"start_time": 5, "tags": [{"key": "mlflow.user", "value": "eve"}, {"key": "mlflow.runName", "value": "named"}]},
]
NO_PLAIN_RUNS: list[dict[str, object]] = [
    {"start_time": "5"},
    {"start_time": -1},
    {"start_time": 2**63},
    {"run_name": "a", "tags": [{"key": "mlflow.runName", "value": "b"}]},
    {"tags": [{"key": "../up", "value": ""}]},
    {"tags": [{"key": "team"}]},
    {"tags": {}},
    {"runName": "camel"},
    {"run_name": 7},
    {"user_id": None},
    {"experiment_id": 0},
    {"experiment_id": "987654321"},
]


def of_run(answer: httpx.Response) -> dict[str, dict[str, object]]:
    """Return the run that was answered, without what differs from run to run."""
    run: dict[str, dict[str, object]] = answer.json()["run"]
    run_id = str(run["info"]["run_id"])
    assert str(run["info"]["artifact_uri"]).endswith(f"/{run_id}/artifacts")
    assert run["info"]["run_uuid"] == run_id
    return {**run, "info": {**run["info"], "run_id": "", "run_uuid": "", "artifact_uri": ""}}


@pytest.mark.parametrize("body", RUNS)
def test_a_run_begins_by_the_lane_as_by_the_long_way(
    api: RunningApi, taken: list[bool], body: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mltrail_api.begun.FOUND_S", 3600.0)
    api.services.active_experiments.forget_all()
    warm_run(api)  # by the long way, which finds its experiment active
    taken.clear()
    url, named = f"{api.url}/api/2.0/mlflow/runs/create", {"experiment_id": "0", "start_time": 7, **body}
    short = api.client.post(url, json=named)
    long = api.client.post(url, json=named, headers={"X-Mltrail-Actor": str(of_run(short)["info"]["user_id"])})
    assert taken == [True, False]
    assert of_run(short) == of_run(long)
    assert short.headers["content-type"] == long.headers["content-type"]
    records = [last_record(api, answer.json()["run"]["info"]["run_id"]) for answer in (short, long)]
    by_lane, by_asgi = (
        [replace(event, run_id="") for event in untimed(record.events) if isinstance(event, RunCreated | TagSet)]
        for record in records
    )
    assert by_lane == by_asgi
    assert records[0].producer == records[1].producer
    run_id = short.json()["run"]["info"]["run_id"]
    assert (
        api.get("/runs/get", run_id=run_id).json()["run"]["info"]["run_name"] == short.json()["run"]["info"]["run_name"]
    )


@pytest.mark.parametrize("body", NO_PLAIN_RUNS)
def test_a_run_that_is_not_plain_begins_by_the_long_way(
    api: RunningApi, taken: list[bool], body: dict[str, object]
) -> None:
    warm_run(api)
    taken.clear()
    api.post("/runs/create", {"experiment_id": "0", **body})
    assert taken == [False]


def test_params_that_the_fold_may_refuse_wait_for_its_word_in_the_lane(api: RunningApi, taken: list[bool]) -> None:
    def log(run_id: str, value: str) -> httpx.Response:
        return api.post("/runs/log-batch", {"run_id": run_id, "params": [{"key": "lr", "value": value}]})

    def append_as_another(run_id: str) -> None:
        event = ParamLogged(1, run_id, "lr", "9")
        record = Record(partition_of(run_id), new_producer_id(), 1, Actor("eve"), (event,))
        api.log.append([NewRecord(record.partition, freeze_record(record))])

    refused_id, accepted_id = warm_run(api), warm_run(api)
    append_as_another(refused_id)
    append_as_another(accepted_id)
    taken.clear()
    refused, accepted = log(refused_id, "1"), log(accepted_id, "9")
    assert taken == [True, True]
    assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "already has the value '9'" in refused.json()["message"]
    assert (accepted.status_code, accepted.content) == (200, b"{}")


def test_a_param_that_contradicts_one_that_was_sent_takes_the_long_way(api: RunningApi, taken: list[bool]) -> None:
    run_id = warm_run(api)
    taken.clear()
    for value, status in (("1", 200), ("2", 400)):
        answer = api.post("/runs/log-batch", {"run_id": run_id, "params": [{"key": "lr", "value": value}]})
        assert answer.status_code == status
    assert taken == [True, False]


def test_a_failure_while_the_lane_waits_for_the_fold_is_answered(
    api: RunningApi, taken: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(written: object) -> bool:
        raise ZeroDivisionError

    run_id = warm_run(api)
    monkeypatch.setattr(OwnRun, "is_certain", lambda own, written: False)
    monkeypatch.setattr(Visibility, "outcome", lambda visibility, written: fail(written))
    taken.clear()
    answer = api.post("/runs/log-batch", {"run_id": run_id, "params": [{"key": "lr", "value": "1"}]})
    assert taken == [True]
    assert (answer.status_code, answer.json()["error_code"]) == (500, "INTERNAL_ERROR")


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b'"text"', b'{"run_id": 5}', b"\xff"])
def test_a_body_that_is_no_request_is_answered_by_the_long_way(api: RunningApi, taken: list[bool], raw: bytes) -> None:
    answer = api.client.post(f"{api.url}/api/2.0/mlflow/runs/log-metric", content=raw)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert taken == [False]


def test_a_page_of_another_site_and_an_unknown_token_are_refused(api: RunningApi, taken: list[bool]) -> None:
    url, body = f"{api.url}/api/2.0/mlflow/runs/log-metric", {**POINT, "run_id": warm_run(api)}
    taken.clear()
    assert api.client.post(url, json=body, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert api.client.post(url, json=body, headers={"Authorization": "Bearer nonsense"}).status_code == 401
    assert api.client.post(url, json=body, headers={"Host": "stranger.example"}).status_code == 403
    assert taken == [False] * 3


def test_a_log_that_refuses_is_said_as_by_the_long_way(log_of: tuple[RunningApi, FaultyLog], taken: list[bool]) -> None:
    api, log = log_of
    run_id = warm_run(api)
    taken.clear()
    log.faults = ["full"]
    answer = api.post("/runs/log-metric", {**POINT, "run_id": run_id})
    assert taken == [True]
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
    assert answer.json() == {"error_code": "RESOURCE_EXHAUSTED", "message": "the disk is full"}


def test_requests_sent_at_once_on_one_connection_are_answered_in_their_order(
    log_of: tuple[RunningApi, FaultyLog], taken: list[bool]
) -> None:
    api, log = log_of
    run_id = warm_run(api)
    taken.clear()
    with connected(api) as connection:
        log.may_append.clear()
        try:
            connection.sendall(request("/runs/log-metric", {**POINT, "run_id": run_id}) + request("/runs/nonsense", {}))
            wait_until(lambda: taken == [True])
            connection.sendall(request("/runs/log-metric", {**POINT, "run_id": run_id}))
        finally:
            log.may_append.set()
        assert statuses(connection, 3) == [200, 404, 200]


def test_a_request_may_come_in_pieces_and_in_chunks_and_be_large(api: RunningApi) -> None:
    run_id = warm_run(api)
    whole = request("/runs/log-batch", {"run_id": run_id, "metrics": [POINT] * 1000})
    large = request("/runs/log-batch", {"run_id": run_id, "metrics": [POINT], "more": "x" * (2 * MAX_HELD_BYTES)})
    body = json.dumps({**POINT, "run_id": run_id}).encode()
    chunked = b"POST /api/2.0/mlflow/runs/log-metric HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connected(api) as connection:
        for first in range(0, len(whole), 10_000):
            connection.sendall(whole[first : first + 10_000])
        assert statuses(connection, 1) == [200]
        connection.sendall(large)
        assert statuses(connection, 1) == [200]
        connection.sendall(chunked + b"%x\r\n%b\r\n" % (20, body[:20]))
        connection.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body) - 20, body[20:]))
        assert statuses(connection, 1) == [200]
    history = api.get("/metrics/get-history", run_id=run_id, metric_key="loss").json()
    assert len(history["metrics"]) == 1  # equal points are one
    assert last_record(api, run_id).sequence >= 4


def test_a_connection_that_is_to_close_is_closed_after_the_answer(api: RunningApi, taken: list[bool]) -> None:
    run_id = warm_run(api)
    taken.clear()
    with connected(api) as connection:
        connection.sendall(request("/runs/log-metric", {**POINT, "run_id": run_id}, b"Connection: close\r\n"))
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close\r\n" in answer
    assert taken == [True]


def test_a_client_that_went_away_does_not_keep_its_point_from_being_logged(
    log_of: tuple[RunningApi, FaultyLog], taken: list[bool]
) -> None:
    api, log = log_of
    run_id = warm_run(api)
    sequence = last_record(api, run_id).sequence
    taken.clear()
    log.may_append.clear()
    try:
        with connected(api) as connection:
            connection.sendall(request("/runs/log-metric", {**POINT, "run_id": run_id}))
            wait_until(lambda: taken == [True])
    finally:
        log.may_append.set()
    wait_until(lambda: last_record(api, run_id).sequence == sequence + 1)
    assert api.post("/runs/log-metric", {**POINT, "run_id": run_id}).status_code == 200


def test_a_worker_that_stops_answers_what_it_took(tmp_path: Path, taken: list[bool]) -> None:
    logs: list[FaultyLog] = []

    def wrap(log: EventLog) -> EventLog:
        logs.append(FaultyLog(log))
        return logs[0]

    with running_api(tmp_path, wrap_log=wrap) as api:
        run_id = warm_run(api)
        taken.clear()
        logs[0].may_append.clear()
        connection = connected(api)
        connection.sendall(request("/runs/log-metric", {**POINT, "run_id": run_id}))
        wait_until(lambda: taken == [True])
        api.stop()
        logs[0].may_append.set()
        with connection:
            assert statuses(connection, 1) == [200]


def connected(api: RunningApi) -> socket.socket:
    host, port = api.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def request(path: str, body: object, headers: bytes = b"") -> bytes:
    text = json.dumps(body).encode()
    head = b"POST /api/2.0/mlflow%b HTTP/1.1\r\nHost: localhost\r\n%bContent-Length: %d\r\n\r\n"
    return head % (path.encode(), headers, len(text)) + text


def statuses(connection: socket.socket, count: int) -> list[int]:
    """Return the statuses of the next answers, read to the end of the last."""
    found: list[int] = []
    received = b""
    while len(found) < count:
        end = received.find(b"\r\n\r\n")
        fields = received[:end].lower().split(b"\r\n") if end >= 0 else []
        size = next((int(field.split(b":")[1]) for field in fields if field.startswith(b"content-length:")), 0)
        if end < 0 or len(received) < end + 4 + size:
            part = connection.recv(65536)
            assert part, "the server closed the connection"
            received += part
            continue
        found.append(int(fields[0].split(b" ")[1]))
        received = received[end + 4 + size :]
    assert received == b""
    return found
