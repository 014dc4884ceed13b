"""A whole tutorial script of the stock client runs to its end, and sees what MLflow's own server would show it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.running import RunningApi
from tests.servers import mlflow_server

TIMEOUT_S = 240


def run_tutorial(url: str) -> dict[str, object]:
    """Return what the script saw at a tracking server."""
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("tutorial.py"), url],
        env={**os.environ, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    seen = json.loads(done.stdout.strip().splitlines()[-1])
    assert isinstance(seen, dict)
    return seen


@pytest.fixture(scope="module")
def seen(api: RunningApi) -> dict[str, object]:
    return run_tutorial(api.url)


def test_a_tutorial_runs_to_its_end(seen: dict[str, object]) -> None:
    assert seen["predictions"] == {
        what: [0, 1, 2] for what in ("version", "latest", "run", "other model of the run", "logged model")
    }
    assert seen["downloaded"] == {
        "notes/hello.txt": 5,
        "notes/table.json": 29,
        "raw/data.bin": 256_000,
        "tree/deep/leaf": 4,
    }
    assert (seen["text"], seen["dict"]) == ("hello", {"a": [1, 2]})
    assert (seen["registered"], seen["versions"]) == (["iris"], ["2", "1"])
    assert seen["history"] == [[0, 0.5], [1, 0.75]]


def test_a_tutorial_sees_what_mlflows_server_shows(seen: dict[str, object]) -> None:
    with mlflow_server() as stock:
        assert seen == run_tutorial(f"http://127.0.0.1:{stock.port}")
