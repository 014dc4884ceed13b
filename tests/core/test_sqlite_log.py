"""The SQLite log keeps the contract, and its own promises: many processes, SIGKILL, full and shared disks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.event_log import EventLogContract


@pytest.fixture
def log_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'log'}"


class TestContract(EventLogContract):
    pass
