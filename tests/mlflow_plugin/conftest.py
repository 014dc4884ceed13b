"""The stock client in this process, pointed at `mltrail+http://…` and `mltrail+redis://…` as its users point it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from mltrail import _lifecycle as lifecycle
from mltrail_cli.server.embedded import embedded_server
from mltrail_cli.settings import Settings
from tests import servers
from tests.server_process import free_port

_QUIET = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # a failure shows at once, not after minutes
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


@pytest.fixture(scope="package")
def http_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The tracking URI of a server on a folder."""
    settings = Settings(data=tmp_path_factory.mktemp("plugin") / "data", port=free_port())
    with embedded_server(settings) as server:
        yield f"mltrail+{server.address.url}"


@pytest.fixture(scope="package")
def redis_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The tracking URI of a Redis log, whose server has published its address there.

    Its Valkey is not the one that other tests share and empty: this server lives through their tests.
    """
    data = tmp_path_factory.mktemp("plugin-redis") / "data"
    with (
        servers.valkey() as valkey,
        embedded_server(Settings(data=data, port=free_port(), log_url=valkey.url)),
    ):
        yield f"mltrail+{valkey.url}"


@pytest.fixture
def client_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A client that begins as in a new process, and ends as it ends with one."""
    for name, value in _QUIET.items():
        monkeypatch.setenv(name, value)
    for name in ("MLTRAIL_URI", "MLTRAIL_TOKEN", "MLTRAIL_DURABILITY", "MLTRAIL_OFFLINE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLTRAIL_SPOOL", str(tmp_path / "spool"))
    # Finding out what a model imports starts a Python that loads it, 5 s each, and never talks to the server.
    monkeypatch.setattr(mlflow.models, "infer_pip_requirements", lambda *_, fallback=None, **__: fallback)
    monkeypatch.chdir(tmp_path)
    yield
    with contextlib.suppress(mlflow.exceptions.MlflowException):
        while mlflow.active_run() is not None:
            mlflow.end_run()
    lifecycle._at_exit()
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]  # forget what was set


@pytest.fixture(params=["http", "redis"])
def tracking_uri(request: pytest.FixtureRequest, client_at: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """One of both ways, set as `MLFLOW_TRACKING_URI`, with an experiment that only this test has."""
    uri: str = request.getfixturevalue(f"{request.param}_uri")
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    mlflow.set_experiment(request.node.name)
    assert mlflow.get_tracking_uri() == uri
    return uri
