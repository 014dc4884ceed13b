"""MLflow's tutorial script sees the same on mltrail as on `mlflow server`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests import preloaded, servers
from tests.acceptance.stack import StackOf


def run_tutorial(uri: str, folder: Path) -> dict[str, object]:
    """Run the script in a process of its own, and return what it saw."""
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet", "USER": "ann"}
    done = preloaded.run(
        preloaded.MLFLOW, ["tests.acceptance.tutorial", uri], folder=folder, env={**os.environ, **quiet}, timeout_s=240
    )
    assert done.returncode == 0, f"the tutorial failed against {uri}:\n{done.stderr[-4000:]}"
    seen: dict[str, object] = json.loads(done.stdout[done.stdout.index("{") :])
    return seen


@pytest.fixture(scope="module")
def seen_on_mlflow(mlflow_server: servers.MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    return run_tutorial(mlflow_server.url, tmp_path_factory.mktemp("tutorial"))


@pytest.mark.parametrize("kind", ["folder", "services"])
def test_tutorial_sees_the_same_as_on_mlflow(
    kind: str, a_stack: StackOf, seen_on_mlflow: dict[str, object], tmp_path: Path
) -> None:
    with a_stack(kind) as stack:
        assert run_tutorial(stack.uri, tmp_path) == seen_on_mlflow
        assert stack.json("rebuild")["is_equal"] is True
