"""A fresh SDK for each test, and the read model of the folder or log that a test logged to."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrail import _fluent as fluent
from mltrail import _lifecycle as lifecycle
from tests.sdk.faulty_server import FaultyServer
from tests.sdk.projected import ProjectedLog


@pytest.fixture(autouse=True)
def fresh_sdk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Begin as a new process would, and end as it would."""
    for name in (
        "MLTRAIL_URI",
        "MLTRAIL_EXPERIMENT",
        "MLTRAIL_RUN_ID",
        "MLTRAIL_OFFLINE",
        "MLTRAIL_DURABILITY",
        "MLTRAIL_CONSOLE",
        "MLTRAIL_NODE_ID",
        "RANK",
        "LOCAL_RANK",
    ):
        monkeypatch.delenv(name, raising=False)
    # What runs record by themselves has tests of its own; the others count what they themselves log.
    monkeypatch.setenv("MLTRAIL_RECORD_CODE", "0")
    monkeypatch.setenv("MLTRAIL_RECORD_ENVIRONMENT", "0")
    monkeypatch.setenv("MLTRAIL_SYSTEM_METRICS_INTERVAL_S", "0")
    monkeypatch.setenv("MLTRAIL_SPOOL", str(tmp_path / "spool"))
    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(fluent, "_session", None)
    monkeypatch.setattr(fluent, "_has_joined", False)
    yield
    lifecycle._at_exit()
    for run in list(fluent._open_runs):
        fluent._deactivate(run)
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder that does not exist yet."""
    return tmp_path / "data"


@pytest.fixture
def projected(folder: Path, tmp_path: Path) -> Iterator[ProjectedLog]:
    """What a projector makes of the folder's log."""
    with ProjectedLog(str(folder / "log"), tmp_path / "read") as projected:
        yield projected


@pytest.fixture
def faulty_server(folder: Path) -> Iterator[FaultyServer]:
    """An HTTP server on the folder's log that fails as it is told."""
    with FaultyServer(folder) as server:
        yield server
