"""An empty read model on each database, for the tests of search."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrail_core.readmodel.store import ReadModel, open_read_model


@pytest.fixture(params=["sqlite", "postgresql"])
def read_model(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ReadModel]:
    """An empty read model."""
    url = str(tmp_path / "read") if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    with contextlib.closing(open_read_model(url)) as opened:
        yield opened
