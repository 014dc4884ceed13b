"""A whole mltrail in a folder: log, projector in a thread, and the API under a real uvicorn on a free port."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn

from mltrail_api.app import create_app
from mltrail_api.services import Services, compose
from mltrail_cli.server.express_protocol import protocol_with
from mltrail_core.artifacts import open_artifact_store
from mltrail_core.liveness import open_liveness
from mltrail_core.log import EventLog, open_log
from mltrail_core.log.genesis import ensure_begun
from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_core.webhook_target import TargetRules
from mltrail_projector.loop import Projector
from tests.servers import free_port

DEADLINE_S = 20.0


@dataclass
class RunningApi:
    """What is running; the projector can be stopped and started again."""

    url: str
    log: EventLog
    read_model: ReadModel
    services: Services
    client: httpx.Client
    _stop: threading.Event
    _server: uvicorn.Server
    _projector: threading.Thread | None = None

    def start_projector(self) -> None:
        """Begin to project."""
        self._stop.clear()
        self._projector = threading.Thread(target=Projector(self.log, self.read_model).run, args=(self._stop,))
        self._projector.start()

    def stop_projector(self) -> None:
        """Return once nothing is projected any more."""
        self._stop.set()
        if self._projector is not None:
            self._projector.join()
            self._projector = None

    def stop(self) -> None:
        """Ask the server to end, as a signal does; returns at once."""
        self._server.should_exit = True

    def post(self, path: str, body: object) -> httpx.Response:
        """Send a JSON body to an endpoint of MLflow's protocol."""
        return self.client.post(f"{self.url}/api/2.0/mlflow{path}", json=body)

    def get(self, path: str, **params: str | int) -> httpx.Response:
        """Ask an endpoint of MLflow's protocol."""
        return self.client.get(f"{self.url}/api/2.0/mlflow{path}", params=params)

    def create_experiment(self, name: str) -> str:
        """Create an experiment and return its id."""
        response = self.post("/experiments/create", {"name": name})
        assert response.status_code == 200, response.text
        return str(response.json()["experiment_id"])

    def create_run(self, experiment_id: str = "0") -> str:
        """Create a run and return its id."""
        response = self.post("/runs/create", {"experiment_id": experiment_id, "user_id": "ada", "start_time": 1})
        assert response.status_code == 200, response.text
        return str(response.json()["run"]["info"]["run_id"])


@contextlib.contextmanager
def running_api(
    folder: Path,
    *,
    wrap_log: Callable[[EventLog], EventLog] = lambda log: log,
    requires_token: bool = False,
    webhook_targets: TargetRules | None = None,
    artifacts_url: str | None = None,
    client_url: str | None = None,
) -> Iterator[RunningApi]:
    """Yield a running mltrail on `folder`; `wrap_log` may put faults between the API and its log."""
    with contextlib.ExitStack() as cleanup:
        log = open_log(str(folder / "log"))
        cleanup.callback(log.close)
        ensure_begun(log)
        read_model = open_read_model(str(folder / "read"))
        cleanup.callback(read_model.close)
        artifacts = open_artifact_store(artifacts_url or str(folder / "artifacts"), client_url=client_url)
        cleanup.callback(artifacts.close)
        services = compose(
            wrap_log(log),
            read_model,
            artifacts,
            open_liveness(str(folder / "log")),
            webhook_secrets=folder / "webhook-secrets.json",
            webhook_targets=webhook_targets,
        )
        port = free_port()
        app = create_app(services, requires_token=requires_token)
        protocol = protocol_with(lambda: app.express)
        server = uvicorn.Server(uvicorn.Config(app, http=protocol, port=port, log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run)
        client = cleanup.enter_context(httpx.Client(timeout=DEADLINE_S))
        running = RunningApi(f"http://127.0.0.1:{port}", log, read_model, services, client, threading.Event(), server)
        running.start_projector()
        cleanup.callback(running.stop_projector)
        thread.start()
        cleanup.callback(thread.join)
        cleanup.callback(setattr, server, "should_exit", True)
        wait_until(lambda: server.started)
        yield running


def wait_until(condition: Callable[[], bool]) -> None:
    """Return as soon as `condition` holds; fail when it does not within the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)
