"""An empty read model on each database, for the tests of search."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator

import pytest

from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_core.readmodel.tables import METADATA, generation
from tests.servers import PostgresServer


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_read_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadModel]:
    """A read model for all tests of a file: making its tables in PostgreSQL takes longer than what they do there."""
    if request.param == "sqlite":
        with contextlib.closing(open_read_model(str(tmp_path_factory.mktemp("read")))) as opened:
            yield opened
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"test_{uuid.uuid4().hex[:12]}"
    with contextlib.closing(open_read_model(server.create_database(name))) as opened:
        yield opened
    server.drop_database(name)


@pytest.fixture
def read_model(shared_read_model: ReadModel) -> ReadModel:
    """An empty read model."""
    with shared_read_model.writing(shared_read_model.live_generation()) as connection:
        for table in METADATA.sorted_tables:
            if table is not generation:  # says whose tables these are
                connection.execute(table.delete())
    return shared_read_model
