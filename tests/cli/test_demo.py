"""`mltrail demo --exit` on a fresh folder: real training, and every claim checked."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.cli.command import mltrail, mltrail_process

PROCESSES = int(os.environ.get("MLTRAIL_TEST_DEMO_PROCESSES", "2"))
"""One logs through the SDK, one through the stock client; by default the demo has 8, which take a minute."""


def test_demo_holds_what_it_claims_on_a_fresh_folder(tmp_path: Path) -> None:
    done = mltrail_process(
        "demo", "--exit", "--data", tmp_path / "data", "--processes", str(PROCESSES), timeout_s=280.0
    )
    assert done.status == 0, done.out + done.err
    assert "Traceback" not in done.err
    assert done.out.count("✓") == 6
    assert "✗" not in done.out
    assert "received 1..N, missing none" in done.out
    runs = mltrail("runs", "list", "--data", tmp_path / "data", "--json").json()["runs"]
    assert isinstance(runs, list)
    assert len(runs) == 2 * PROCESSES
    assert {run["info"]["status"] for run in runs} == {"FINISHED"}


@pytest.mark.thorough
def test_demo_on_a_taken_port_says_so(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = mltrail_process("demo", "--exit", "--data", tmp_path / "data", "--port", port)
    assert done.status == 1
    assert f"port {port}" in done.err
