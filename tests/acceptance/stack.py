"""mltrail as users run it: the real command in its own processes, on one folder or on Valkey, PostgreSQL and S3."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from mltrail_core.log import EventLog, open_log
from mltrail_core.readmodel import tables
from mltrail_core.readmodel.store import ReadModel, open_read_model
from tests import preloaded, servers
from tests.server_process import Server

COMMAND = (sys.executable, "-m", "mltrail_cli")


class MltrailServer(Server):
    """`mltrail server` in one role."""

    def __init__(self, folder: Path, role: str, options: list[str], env: Mapping[str, str], port: int | None) -> None:
        super().__init__(folder, port, env=env)
        self._role = role
        self._options = options
        self.log_path = folder / f"{role}.log"

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def kind(self) -> preloaded.Kind:
        return preloaded.MLTRAIL

    def argv(self) -> list[str]:
        return [*COMMAND, "server", "--role", self._role, "--port", str(self.port), *self._options]

    def answers(self) -> bool:
        if self._role in ("projector", "jobs"):
            return self.is_running
        return self._http_ok("/version")


@dataclass(slots=True)
class Stack:
    """The processes of one installation, and where its parts lie."""

    api: MltrailServer
    projector: MltrailServer
    log_url: str
    store_url: str
    options: list[str]
    env: dict[str, str]
    valkey: servers.ValkeyServer | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def uri(self) -> str:
        """What trainers are pointed at over HTTP."""
        return self.api.url

    @contextlib.contextmanager
    def opened(self) -> Iterator[tuple[EventLog, ReadModel]]:
        """Give the log and the read model that the processes work on."""
        log, read_model = open_log(self.log_url), open_read_model(self.store_url)
        try:
            yield log, read_model
        finally:
            log.close()
            read_model.close()

    def run(self, *arguments: str, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run another `mltrail` command on the same installation."""
        words = ["mltrail_cli", *arguments, *self.options]
        return preloaded.run(
            preloaded.MLTRAIL, words, folder=Path.cwd(), env={**os.environ, **self.env}, timeout_s=timeout_s
        )

    def json(self, *arguments: str) -> dict[str, object]:
        """Run a command with `--json`, and return what it printed; its failure is the test's."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, f"mltrail {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}"
        printed: dict[str, object] = json.loads(done.stdout)
        return printed


def start_projecting(stack: Stack) -> None:
    """Start the projector, and return once it has projected what the log holds: only then does it answer in time."""
    stack.projector.start()
    with stack.opened() as (log, read_model):
        wait_for(lambda: projected(read_model) == sum(log.heads().values()), 60, "the projector has caught up")


def projected(read_model: ReadModel) -> int:
    """Return how many records are projected."""
    with read_model.reading() as connection:
        return sum(connection.execute(select(tables.positions.c["index"])).scalars())


StackOf = Callable[[str], contextlib.AbstractContextManager[Stack]]
"""Runs a whole installation of a kind, "folder" or "services"."""


@contextlib.contextmanager
def folder_stack(folder: Path) -> Iterator[Stack]:
    """Run API and projector as two processes on one folder, with no service at hand."""
    options = ["--data", str(folder / "data")]
    places = (str(folder / "data" / "log"), str(folder / "data" / "read"))
    with _running(folder, options, {}) as (api, projector):
        stack = Stack(api, projector, *places, options, {})
        start_projecting(stack)
        yield stack


@contextlib.contextmanager
def services_stack(folder: Path, postgres: servers.PostgresServer, s3: servers.S3Server) -> Iterator[Stack]:
    """Run API and projector on a Valkey of their own, in a database and a bucket of their own."""
    store_url = postgres.create_database(f"mltrail_{uuid.uuid4().hex[:12]}")
    bucket_url = s3.create_bucket(f"artifacts-{uuid.uuid4().hex[:12]}")
    with servers.valkey() as valkey:
        places = {"--log-url": valkey.url, "--store-url": store_url, "--artifacts-url": bucket_url}
        options = [word for place in places.items() for word in place]
        with _running(folder, options, s3.env) as (api, projector):
            stack = Stack(api, projector, valkey.url, store_url, options, dict(s3.env), valkey)
            start_projecting(stack)
            yield stack
    postgres.drop_database(store_url.rpartition("/")[2])


@contextlib.contextmanager
def _running(folder: Path, options: list[str], env: Mapping[str, str]) -> Iterator[tuple[MltrailServer, MltrailServer]]:
    api = MltrailServer(folder, "api", options, env, None)
    projector = MltrailServer(folder, "projector", options, env, None)
    try:
        api.start()
        yield api, projector
    finally:
        projector.stop()
        api.stop()


def wait_for(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Return once the condition holds; fail when it does not within `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:g} s"
        time.sleep(0.05)
