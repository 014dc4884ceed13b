"""A server that is away in the middle of a training: nothing raises, and all is there afterwards."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import mlflow
import pytest

from mltrail_cli.server.embedded import embedded_server
from mltrail_cli.settings import Settings
from tests.server_process import free_port

pytestmark = pytest.mark.filterwarnings("ignore")


class StoppableServer:
    """A server that stops and comes back at the same address."""

    def __init__(self, folder: Path) -> None:
        self._settings = Settings(data=folder, port=free_port())
        self._running = ExitStack()
        self.uri = f"mltrail+http://127.0.0.1:{self._settings.port}"

    def start(self) -> None:
        self._running.enter_context(embedded_server(self._settings))

    def stop(self) -> None:
        self._running.close()


@pytest.fixture
def server(client_at: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoppableServer]:
    server = StoppableServer(tmp_path / "data")
    server.start()
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    mlflow.set_experiment("outages")
    yield server
    server.stop()


def test_a_training_goes_on_and_ends_while_the_server_is_away(
    server: StoppableServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mltrail._mlflow import connection  # not above: it imports MLflow

    monkeypatch.setattr(connection, "SETTLE_TIMEOUT_S", 0.3)
    client = mlflow.MlflowClient()
    with mlflow.start_run() as run:
        mlflow.log_metric("loss", 1.0, step=0)
        server.stop()
        for step in range(1, 200):
            mlflow.log_metric("loss", 1.0 / step, step=step)
            mlflow.log_param(f"p{step}", step)
        mlflow.set_tag("phase", "away")
        mlflow.log_text("written while away", "notes.txt")
        assert mlflow.get_run(run.info.run_id).info.run_id == run.info.run_id
        assert "can't be read now" in caplog.text
        session = connection.connection_to(server.uri)._session
        assert session is not None
        session.patience.is_lost = True  # as after an end that waited in vain; else this test waits 10 s
    server.start()
    assert session.flush(None, time.monotonic() + 30)
    seen = mlflow.get_run(run.info.run_id)
    assert seen.info.status == "FINISHED"
    assert (len(seen.data.params), seen.data.tags["phase"]) == (199, "away")
    assert [point.step for point in client.get_metric_history(run.info.run_id, "loss")] == list(range(200))
    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/notes.txt") == "written while away"


def test_a_process_that_ends_by_an_error_loses_nothing_and_its_run_has_failed(
    server: StoppableServer, tmp_path: Path
) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import mlflow\nrun = mlflow.start_run()\nprint(run.info.run_id)\n"
        "for step in range(500): mlflow.log_metric('loss', 1.0, step=step)\n"
        "mlflow.log_text('x', 'x.txt')\n1 / 0\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert "ZeroDivisionError" in done.stderr
    run_id = done.stdout.split()[0]
    assert mlflow.get_run(run_id).info.status == "FAILED", done.stderr
    assert len(mlflow.MlflowClient().get_metric_history(run_id, "loss")) == 500
    assert [file.path for file in mlflow.MlflowClient().list_artifacts(run_id)] == ["x.txt"]
