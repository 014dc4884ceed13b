"""Heartbeats, and how a lost run looks to MLflow's clients, on pages and in its delivery."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from mltrail_cli.server.embedded import EmbeddedServer, embedded_server
from mltrail_cli.settings import Settings
from mltrail_core.clock import now_us
from mltrail_core.events import Event, ProducerOpened, RunCreated, RunLost, RunReturned, RunStatusChanged
from mltrail_core.ids import RunId, new_producer_id, new_run_id
from mltrail_core.liveness import API_DUTY
from tests.projector.producing import Producing
from tests.servers import free_port


@dataclass(frozen=True, slots=True)
class Server:
    """A whole server, whose reaper finds nobody lost while a test runs."""

    embedded: EmbeddedServer
    client: httpx.Client

    def append(self, run_id: RunId, *events: Event, producing: Producing | None = None) -> None:
        producing = producing or Producing(new_producer_id())
        self.embedded.ports.log.append([producing.of_run(*events, run_id=run_id)])

    def begin(self) -> tuple[RunId, Producing]:
        run_id, producing = new_run_id(), Producing(new_producer_id())
        opened = ProducerOpened(1, run_id, "gpu-7", 42, 1)
        created = RunCreated(now_us(), run_id, "0", "brave", "ann", now_us())
        self.append(run_id, opened, created, producing=producing)
        return run_id, producing

    def run(self, run_id: str) -> tuple[str, dict[str, str]]:
        """Return status and tags as MLflow's clients get them."""
        answer = self.client.get("/api/2.0/mlflow/runs/get", params={"run_id": run_id})
        assert answer.status_code == 200, answer.text
        run = answer.json()["run"]
        return run["info"]["status"], {tag["key"]: tag["value"] for tag in run["data"].get("tags", [])}

    def delivery(self, run_id: str) -> dict[str, object]:
        answer = self.client.get(f"/api/v1/runs/{run_id}/delivery")
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found

    def beat(self, *pairs: tuple[str, str]) -> httpx.Response:
        heartbeats = [{"run_id": run_id, "producer": producer} for run_id, producer in pairs]
        return self.client.post("/api/v1/heartbeats", json={"heartbeats": heartbeats})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("liveness")
    with (
        embedded_server(Settings(data=folder / "data", port=free_port())) as embedded,
        httpx.Client(base_url=embedded.address.url, timeout=30) as client,
    ):
        yield Server(embedded, client)


def wait_for(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"the condition did not come true within {timeout_s:g} s"
        time.sleep(0.01)


def test_heartbeats_mark_runs_and_producers_and_write_nothing_to_the_log(server: Server) -> None:
    ports = server.embedded.ports
    first, second = (new_run_id(), new_producer_id()), (new_run_id(), new_producer_id())
    heads = ports.log.heads()
    before_us = ports.liveness.now_us()
    answer = server.beat(first, second)
    assert (answer.status_code, answer.json()) == (200, {"noted": 2})
    marks = ports.liveness.last_seen([*first, *second])
    assert set(marks) == {*first, *second}
    assert all(before_us <= us <= ports.liveness.now_us() for us in marks.values())
    assert ports.log.heads() == heads


@pytest.mark.parametrize(
    "body",
    [
        {"heartbeats": [{"run_id": "../../etc", "producer": "p"}]},
        {"heartbeats": [{"run_id": "r"}]},
        {"heartbeats": [{"run_id": "r", "producer": "p"}] * 1001},
        {},
    ],
)
def test_what_is_no_heartbeat_is_refused(server: Server, body: dict[str, object]) -> None:
    answer = server.client.post("/api/v1/heartbeats", json=body)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"


def test_the_api_says_that_it_is_there(server: Server, tmp_path: Path) -> None:
    wait_for(lambda: server.embedded.ports.liveness.attended(API_DUTY) is not None)


def test_a_lost_run_is_failed_to_mlflow_with_a_tag_that_says_why_until_it_returns(server: Server) -> None:
    run_id, _ = server.begin()
    assert server.run(run_id)[0] == "RUNNING"
    server.append(run_id, RunLost(1, run_id, 1_750_000_000_000_000, 120))
    status, tags = server.run(run_id)
    assert status == "FAILED"
    assert tags["mltrail.lost"] == "last seen 2025-06-15 15:06:40 UTC"
    assert server.delivery(run_id)["status"] == "LOST"
    page = server.client.get(f"/runs/{run_id}").text
    assert '<span class="badge bad">lost</span>' in page
    assert "last seen 2025-06-15 15:06:40 UTC" in page
    listed = server.client.get("/experiments/0", params={"filter": "attributes.status = 'LOST'"}).text
    assert f"/runs/{run_id}" in listed
    assert '<span class="badge bad">lost</span>' in listed
    server.append(run_id, RunReturned(1, run_id, 1_750_000_000_000_000))
    status, tags = server.run(run_id)
    assert status == "RUNNING"
    assert "mltrail.lost" not in tags
    assert server.delivery(run_id)["status"] == "RUNNING"


def test_a_client_of_mlflow_may_say_what_became_of_a_lost_run(server: Server) -> None:
    run_id, _ = server.begin()
    server.append(run_id, RunLost(1, run_id, 1_750_000_000_000_000, 120))
    body = {"run_id": run_id, "status": "KILLED", "end_time": 1_760_000_000_000}
    updated = server.client.post("/api/2.0/mlflow/runs/update", json=body).json()
    assert updated["run_info"]["status"] == "KILLED"
    status, tags = server.run(run_id)
    assert (status, "mltrail.lost" in tags) == ("KILLED", False)


def test_delivery_says_when_each_process_was_last_seen(server: Server) -> None:
    run_id, producing = server.begin()
    quiet = server.delivery(run_id)
    server.beat((run_id, producing.producer))
    marked_us = server.embedded.ports.liveness.last_seen([producing.producer])[producing.producer]
    heard = server.delivery(run_id)
    assert isinstance(quiet["last_seen_us"], int)
    assert isinstance(heard["last_seen_us"], int)
    assert heard["last_seen_us"] >= marked_us > quiet["last_seen_us"]
    producers = heard["producers"]
    assert isinstance(producers, list)
    assert [producer["last_seen_us"] for producer in producers] == [marked_us]
    assert (heard["unprojected_records"], heard["status"]) == (0, "RUNNING")
    server.append(run_id, RunStatusChanged(1, run_id, "FINISHED", 2))
    assert server.delivery(run_id)["status"] == "FINISHED"
