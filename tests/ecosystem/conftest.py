"""One running `mltrail` for all that the stock client does here, and the client pointed at it as its users do it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pytest

from mltrail_cli.server.embedded import embedded_server
from mltrail_cli.settings import Settings
from tests.servers import free_port

_QUIET = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # a failure shows at once, not after minutes
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass(frozen=True, slots=True)
class Tracking:
    """Where the fluent API logs: an experiment that only this test has."""

    url: str
    experiment_id: str
    client: mlflow.MlflowClient

    def files(self, run_id: str, folder: str = "") -> list[str]:
        """Return the paths of all of a run's files below a folder, sorted."""
        found = self.client.list_artifacts(run_id, folder)
        deeper = [path for entry in found if entry.is_dir for path in self.files(run_id, entry.path)]
        return sorted([entry.path for entry in found if not entry.is_dir] + deeper)


def inputs_of(run_id: str) -> mlflow.entities.RunInputs:
    """Return what a run read."""
    inputs = mlflow.get_run(run_id).inputs
    assert inputs is not None
    return inputs


@pytest.fixture(scope="package")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server on a folder."""
    settings = Settings(data=tmp_path_factory.mktemp("ecosystem") / "data", port=free_port())
    with embedded_server(settings) as server:
        yield server.address.url


@pytest.fixture
def tracking(
    server_url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Tracking]:
    """The client as `MLFLOW_TRACKING_URI` sets it up; afterwards no run is active."""
    for name, value in _QUIET.items():
        monkeypatch.setenv(name, value)
    # Finding out what a model imports starts a Python that loads it, 5 s each, and never talks to the server.
    monkeypatch.setattr(mlflow.models, "infer_pip_requirements", lambda *_, fallback=None, **__: fallback)
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]  # forget what was set, so that the environment counts
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server_url)
    experiment = mlflow.set_experiment(request.node.name)
    assert mlflow.get_tracking_uri() == server_url
    yield Tracking(server_url, experiment.experiment_id, mlflow.MlflowClient())
    while mlflow.active_run() is not None:
        mlflow.end_run()
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)
