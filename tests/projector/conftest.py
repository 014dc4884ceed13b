"""A log in a temporary folder, and a read model on each database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrail_core.log import EventLog, open_log
from mltrail_core.readmodel.store import ReadModel, open_read_model


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    log = open_log(str(tmp_path / "log"))
    yield log
    log.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def read_model_url(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    return str(tmp_path / "read") if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def read_model(read_model_url: str) -> Iterator[ReadModel]:
    read_model = open_read_model(read_model_url)
    yield read_model
    read_model.close()
