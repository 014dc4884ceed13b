"""Who is measured: each peer is started as its makers say, on a database of its own, and is ended after its rows."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import servers
from tests.acceptance.stack import COMMAND
from tests.server_process import Server

FOLDER, SERVICES, MLFLOW, FASTTRACKML = "mltrail", "mltrail on services", "MLflow", "FastTrackML"
CANNED, DURABLE, WORKING = "floor", "floor with an fsync", "the same with work behind it"
_WORK_MS = 2.0
"""About what mltrail's projector needs for a run with 40 metrics, 20 params and 5 tags on a quiet core."""
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class NativePlaces:
    """What mltrail's own trainers are pointed at to write without the API, and where log and read model lie."""

    uri: str
    log_url: str
    store_url: str


@dataclass(frozen=True, slots=True)
class Peer:
    """A server that answers. `group` is its process group; its database's processes are not in it."""

    name: str
    url: str
    group: int
    ack: str
    native: NativePlaces | None = None

    @property
    def is_canned(self) -> bool:
        """Whether it keeps nothing of what it is told, so that what it answers is not to be checked."""
        return self.name in (CANNED, DURABLE, WORKING)


class PeerServer(Server):
    """A peer's own command line."""

    def __init__(self, folder: Path, command: Callable[[int], list[str]], health: str) -> None:
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))  # of the canned server
        super().__init__(folder, None, env={"MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": path})
        self.start_timeout_s = 180.0
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = command
        self._health = health

    def argv(self) -> list[str]:
        return self._command(self.port)

    def answers(self) -> bool:
        return self._http_ok(self._health)


@dataclass(frozen=True, slots=True)
class Blueprint:
    """How one peer is started, as often as wanted."""

    name: str
    ack: str
    command: Callable[[int], list[str]]
    health: str
    native: NativePlaces | None = None

    @contextlib.contextmanager
    def running(self, ready: str | None = None) -> Iterator[Peer]:
        """Give the peer while it runs; it counts as started when the path `ready` is answered."""
        with tempfile.TemporaryDirectory(prefix="mltrail-bench-", ignore_cleanup_errors=True) as folder:
            server = PeerServer(Path(folder), self.command, ready or self.health)
            try:
                server.start()
                yield Peer(self.name, server.url, server.pid, self.ack, self.native)
            finally:
                server.stop()


@contextlib.contextmanager
def folder_blueprint() -> Iterator[Blueprint]:
    """mltrail with nothing at hand: one command on one folder."""
    with tempfile.TemporaryDirectory(prefix="mltrail-bench-", ignore_cleanup_errors=True) as folder:
        places = NativePlaces(f"{folder}/data", f"{folder}/data/log", f"{folder}/data/read")
        command = [*COMMAND, "server", "--data", f"{folder}/data", "--port"]
        yield Blueprint(FOLDER, "fsync", lambda port: [*command, str(port)], "/version", places)


@contextlib.contextmanager
def services_blueprint() -> Iterator[Blueprint]:
    """mltrail on Valkey with `appendfsync always` and PostgreSQL."""
    with (
        servers.valkey() as valkey,
        servers.postgres(fsync=True) as postgres,
        tempfile.TemporaryDirectory(prefix="mltrail-bench-", ignore_cleanup_errors=True) as folder,
    ):
        store_url = postgres.create_database("mltrail")
        places = ["--log-url", valkey.url, "--store-url", store_url, "--artifacts-url", folder]
        command = [*COMMAND, "server", *places, "--port"]
        yield Blueprint(
            SERVICES,
            "fsync",
            lambda port: [*command, str(port)],
            "/version",
            NativePlaces(valkey.url, valkey.url, store_url),
        )


@contextlib.contextmanager
def mlflow_blueprint() -> Iterator[Blueprint]:
    """The stock server with its defaults, on PostgreSQL."""
    with servers.postgres(fsync=True) as postgres:
        store_url = postgres.create_database("mlflow")
        command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store_url, "--port"]
        yield Blueprint(MLFLOW, "commit", lambda port: [*command, str(port)], "/health")


@contextlib.contextmanager
def fasttrackml_blueprint() -> Iterator[Blueprint]:
    """FastTrackML on PostgreSQL; `fml` is found on the PATH or by $FML.

    Its wheel wants an MLflow of version 2, so it is installed elsewhere: `pip install --no-deps fasttrackml` in an
    environment of its own.
    """
    program = os.environ.get("FML") or shutil.which("fml")
    if program is None:
        raise servers.ServerFailed("fml is not on the PATH, and $FML does not name it: see docs/performance.md")
    with servers.postgres(fsync=True) as postgres:
        store_url = postgres.create_database("fasttrackml").replace("postgresql+psycopg://", "postgres://")
        command = [program, "server", "-l", "error", "-d", f"{store_url}?sslmode=disable", "-a"]
        yield Blueprint(FASTTRACKML, "commit", lambda port: [*command, f"127.0.0.1:{port}"], "/health")


@contextlib.contextmanager
def canned_blueprint() -> Iterator[Blueprint]:
    """The server that does nothing."""
    command = [sys.executable, "-m", "tests.benchmarks.canned"]
    yield Blueprint(CANNED, "none", lambda port: [*command, str(port)], "/health")


@contextlib.contextmanager
def durable_blueprint() -> Iterator[Blueprint]:
    """The server that does nothing but to bring to the disk what it is sent, before it answers."""
    with _keeping() as command:
        yield Blueprint(DURABLE, "fsync", lambda port: [*command, str(port)], "/health")


@contextlib.contextmanager
def working_blueprint() -> Iterator[Blueprint]:
    """The same, with a process behind it that computes for as long as a projector does."""
    with _keeping() as command:
        yield Blueprint(WORKING, "fsync", lambda port: [*command, f"--work-ms={_WORK_MS:g}", str(port)], "/health")


@contextlib.contextmanager
def _keeping() -> Iterator[list[str]]:
    with tempfile.TemporaryDirectory(prefix="mltrail-bench-") as folder:
        yield [sys.executable, "-m", "tests.benchmarks.canned", "--fsync", f"{folder}/kept"]


PEERS: dict[str, Callable[[], contextlib.AbstractContextManager[Blueprint]]] = {
    "folder": folder_blueprint,
    "services": services_blueprint,
    "mlflow": mlflow_blueprint,
    "fasttrackml": fasttrackml_blueprint,
    "canned": canned_blueprint,
    "durable": durable_blueprint,
    "working": working_blueprint,
}
"""In the order of the table's columns; the first one is what the others are compared with."""
