"""Servers that tests share: one of each per pytest process (so per xdist worker), started when first asked for."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import uuid
from collections.abc import Collection, Iterator

import pytest
import redis
import structlog
from xdist.scheduler import LoadFileScheduling

from mltrail_core.readmodel.store import open_read_model
from tests import later, preloaded, servers, thorough

for _name in ("mlflow", "pandas", "sklearn"):
    later.import_later(_name)

SHARING = {
    # MLflow, imported once, and its server, started once.
    "tests/acceptance/test_tutorial.py": "stock MLflow",
    "tests/api/test_endpoints_listed.py": "stock MLflow",
    "tests/cli/test_import.py": "stock MLflow",
    "tests/cli/test_tokens.py": "stock MLflow",
    "tests/compat/test_equal_answers.py": "stock MLflow",
    # MLflow with scikit-learn, and a server of mltrail for each folder.
    "tests/acceptance/test_installation.py": "MLflow's client",
    "tests/api/search/test_against_stock.py": "MLflow's client",
    "tests/api/search/test_parse.py": "MLflow's client",
    "tests/api/test_logged_models.py": "MLflow's client",
    "tests/api/test_mlflow_client.py": "MLflow's client",
    "tests/api/test_registry.py": "MLflow's client",
    "tests/api/test_registry_changes.py": "MLflow's client",
    "tests/api/test_registry_history.py": "MLflow's client",
    "tests/api/test_uploads_past_server.py": "MLflow's client",
    "tests/api/test_webhook_deliveries.py": "MLflow's client",
    "tests/api/test_webhooks.py": "MLflow's client",
    "tests/ecosystem": "MLflow's client",
    "tests/mlflow_plugin": "MLflow's client",
}
"""Which files, and which folders with all of theirs, one process runs because they share what is dear."""

LONGEST = (
    "tests/acceptance/test_tutorial.py",
    "tests/cli/test_import.py",
    "tests/compat/test_equal_answers.py",
    "tests/api/test_endpoints_listed.py",
    "tests/cli/test_tokens.py",
    "tests/ecosystem",
    "tests/mlflow_plugin",
    "tests/integration/test_compose.py",
    "tests/acceptance",
    "tests/cli/test_demo.py",
    "tests/benchmarks",
    "tests/cli/test_server.py",
    "tests/sdk/test_spool.py",
    "tests/projector",
    "tests/sdk/test_lifecycle.py",
    "tests/test_repository.py",
)
"""What runs longest, a file or a folder; it begins first, so that no process ends alone."""


def pytest_configure(config: pytest.Config) -> None:
    """Decide how much tests try, before a test file is imported."""
    thorough.decide(config)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files begin, and keep the order of all others."""
    items.sort(key=lambda item: _place_among(LONGEST, item.nodeid))


def _place_among(places: Collection[str], node_id: str) -> int:
    return next((place for place, name in enumerate(places) if _is_in(name, node_id)), len(places))


def _is_in(place: str, node_id: str) -> bool:
    return node_id.startswith((f"{place}::", f"{place}/"))


def pytest_collection_finish() -> None:
    """Take what was collected out of every later search for garbage: it stays to the end."""
    gc.collect()
    gc.freeze()


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Give whole files to the processes, and those that share what is dear to one; None where the command line says
    otherwise."""
    if config.getvalue("dist") != "loadfile":
        return None
    scheduler = LoadFileScheduling(config, log)
    scheduler._split_scope = _scope_of
    return scheduler


def _scope_of(node_id: str) -> str:
    return next((scope for place, scope in SHARING.items() if _is_in(place, node_id)), node_id.partition("::")[0])


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, since many tests wait for servers."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let trainings that tests start keep what they could not send in a temporary folder, not in the user's own."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session", autouse=True)
def interrupts_reach_children() -> None:
    """Let programs that tests start hear SIGINT, also where a shell runs the tests in the background: what it ignores,
    they would ignore."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def plain_log_lines() -> None:
    """Print tracebacks plainly: structlog's own default draws every local, which takes seconds for a deep one."""
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.dev.ConsoleRenderer(colors=False)])


@pytest.fixture(scope="session", autouse=True)
def preloaded_parents() -> Iterator[None]:
    """End the processes that others were forked from."""
    yield
    preloaded.end_parents()


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[servers.ValkeyServer]:
    """A running Valkey; a test that kills it starts it again before it ends."""
    with servers.valkey() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[servers.PostgresServer]:
    """A running PostgreSQL without fsync."""
    with servers.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[servers.S3Server]:
    """A running S3 service."""
    with servers.s3() as server:
        yield server


@pytest.fixture(scope="session")
def mlflow_server() -> Iterator[servers.MlflowServer]:
    """A running stock MLflow; files that ask for it stand in `SHARING`."""
    with servers.mlflow_server() as server:
        yield server


@pytest.fixture
def redis_url(valkey_server: servers.ValkeyServer) -> str:
    """The URL of an empty database; emptied before each test."""
    with contextlib.closing(redis.Redis.from_url(valkey_server.url)) as client:
        client.flushall()
    return valkey_server.url


@pytest.fixture(scope="session")
def empty_tables(postgres_server: servers.PostgresServer) -> str:
    """The name of a database with an empty read model: copying its tables takes a quarter of what making them does."""
    name = "empty_tables"
    open_read_model(postgres_server.create_database(name)).close()
    return name


@pytest.fixture
def postgres_url(postgres_server: servers.PostgresServer, empty_tables: str) -> Iterator[str]:
    """The SQLAlchemy URL of an empty read model that only this test has; dropped after it, whoever is still
    connected."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield postgres_server.create_database(name, like=empty_tables)
    postgres_server.drop_database(name)


@pytest.fixture
def s3_bucket_url(s3_server: servers.S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """`s3://bucket` of an empty bucket, with endpoint and credentials in this process's environment."""
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return s3_server.create_bucket(f"test-{uuid.uuid4().hex[:12]}")
