"""MLflow's tutorial script sees the same on mltrail as on `mlflow server`."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests import servers
from tests.acceptance.stack import StackOf


def run_tutorial(uri: str) -> dict[str, object]:
    """Run the script in a process of its own, and return what it saw."""
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet", "USER": "ann"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.acceptance.tutorial", uri],
        env={**os.environ, **quiet},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"the tutorial failed against {uri}:\n{done.stderr[-4000:]}"
    seen: dict[str, object] = json.loads(done.stdout[done.stdout.index("{") :])
    return seen


@pytest.fixture(scope="module")
def seen_on_mlflow(mlflow_server: servers.MlflowServer) -> dict[str, object]:
    return run_tutorial(mlflow_server.url)


@pytest.mark.parametrize("kind", ["folder", "services"])
def test_tutorial_sees_the_same_as_on_mlflow(kind: str, a_stack: StackOf, seen_on_mlflow: dict[str, object]) -> None:
    with a_stack(kind) as stack:
        assert run_tutorial(stack.uri) == seen_on_mlflow
        assert stack.json("rebuild")["is_equal"] is True
