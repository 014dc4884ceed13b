"""The servers that are compared: stock once, mltrail on SQLite and on PostgreSQL, each by its real command."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests import servers
from tests.acceptance.stack import MltrailServer
from tests.compat.script import Case, Conversation, Group, Told

TIMEOUT_S = 60.0


@dataclass
class Answerer:
    """A server, what its groups began with, and what it answered to each case so far."""

    client: httpx.Client
    saved: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    told: dict[tuple[str, str], list[Told]] = field(default_factory=dict, repr=False)

    def answers(self, group: Group, case: Case) -> list[Told]:
        """Return what the server answers to a case; it is asked once."""
        if group.name not in self.saved:
            began = Conversation(self.client)
            for one in group.setup:
                told = began.tell(one)
                assert told.status == "2xx", f"setup of {group.name}: {one} was answered {told}"
            self.saved[group.name] = {**began.saved, "group": began.saved["unique"]}
        if (group.name, case.name) not in self.told:
            self.told[group.name, case.name] = Conversation(self.client, self.saved[group.name]).run(case.calls)
        return self.told[group.name, case.name]


@pytest.fixture(scope="package")
def stock(mlflow_server: servers.MlflowServer) -> Iterator[Answerer]:
    """MLflow's own server."""
    with httpx.Client(base_url=mlflow_server.url, timeout=TIMEOUT_S) as client:
        yield Answerer(client)


@pytest.fixture(scope="package")
def ours_on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answerer]:
    """`mltrail server` on a folder."""
    with _mltrail(tmp_path_factory.mktemp("sqlite"), []) as answerer:
        yield answerer


@pytest.fixture(scope="package")
def ours_on_postgres(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: servers.PostgresServer
) -> Iterator[Answerer]:
    """`mltrail server` on a folder, its read model in PostgreSQL."""
    store_url = postgres_server.create_database("compat")
    with _mltrail(tmp_path_factory.mktemp("postgres"), ["--store-url", store_url]) as answerer:
        yield answerer
    postgres_server.drop_database("compat")


@pytest.fixture
def ours(request: pytest.FixtureRequest) -> Answerer:
    """mltrail on the read model that the test is parametrised by."""
    found = request.getfixturevalue(f"ours_on_{request.param}")
    assert isinstance(found, Answerer)
    return found


@contextlib.contextmanager
def _mltrail(folder: Path, options: list[str]) -> Iterator[Answerer]:
    # One process less: each waits for records on its own.
    options = ["--data", str(folder / "data"), "--background", "thread", *options]
    server = MltrailServer(folder, "all", options, {}, None)
    server.start()
    try:
        with httpx.Client(base_url=server.url, timeout=TIMEOUT_S) as client:
            yield Answerer(client)
    finally:
        server.stop()
