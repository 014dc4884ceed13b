"""What the rounds run on: Valkey, an API, a projector and the networks before them; all can be killed and come back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from sqlalchemy import select

from mltrail_core.artifacts import ArtifactStore, open_artifact_store
from mltrail_core.log import EventLog, open_log
from mltrail_core.readmodel import tables
from mltrail_core.readmodel.store import ReadModel, open_read_model
from tests import servers
from tests.acceptance.fault_rounds.plan import Fault
from tests.acceptance.fault_rounds.proxy import Proxy, proxy_before
from tests.acceptance.stack import MltrailServer
from tests.server_process import Server, ServerFailed, free_port

RETURN_TIMEOUT_S = 60.0
_CATCH_UP_TIMEOUT_S = 60.0
_POLL_S = 0.02


class Stuck(AssertionError):
    """Something did not come back or did not catch up within its time."""


@dataclass(slots=True)
class Installation:
    """Processes that live from round to round, and where their data lies."""

    valkey: servers.ValkeyServer
    api: MltrailServer
    projector: MltrailServer
    http_network: Proxy
    redis_network: Proxy
    log: EventLog
    read_model: ReadModel
    artifacts: ArtifactStore

    @property
    def http_uri(self) -> str:
        """Where trainers find the API."""
        return f"http://127.0.0.1:{self.http_network.port}"

    @property
    def redis_uri(self) -> str:
        """Where trainers find the log."""
        return f"redis://127.0.0.1:{self.redis_network.port}/0"

    def cause(self, fault: Fault, random: Random, wait: Callable[[float], None]) -> None:
        """Let a server or a network fail for a while, and come back."""
        match fault.victim, fault.what:
            case "valkey" | "api" | "projector", _:
                server = self._servers()[fault.victim]
                server.kill()
                wait(fault.for_s)
                _return(server)
            case _, "stalled":
                self._network(fault).stall()
                wait(fault.for_s)
                self._network(fault).flow()
            case _, "reset":
                self._network(fault).reset()
            case _, _:
                self._network(fault).half_close(random)

    def heal(self) -> None:
        """Return once everything is there. A server that ended by itself, as it may when its log is away while it
        starts, is started again, as whoever runs it would."""
        self.http_network.flow()
        self.redis_network.flow()
        for server in self._servers().values():
            _return(server)

    def catch_up(self) -> None:
        """Return once the read model stands where the log does."""
        deadline = time.monotonic() + _CATCH_UP_TIMEOUT_S
        while (behind := self._behind()) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
            _return(self.projector)
        if behind:
            raise Stuck(f"the projector did not catch up within {_CATCH_UP_TIMEOUT_S:g} s: {behind}")

    def _behind(self) -> str:
        heads = self.log.heads()
        with self.read_model.reading() as connection:
            rows = connection.execute(
                select(tables.positions.c.partition, tables.positions.c["index"], tables.positions.c.halted)
            ).all()
        halted = [f"{partition} is halted: {why}" for partition, _, why in rows if why is not None]
        if halted:
            raise Stuck("; ".join(halted))
        stands = {partition: index for partition, index, _ in rows}
        return ", ".join(
            f"{partition} stands at {stands.get(partition, 0)} of {head}"
            for partition, head in heads.items()
            if stands.get(partition, 0) != head
        )

    def _servers(self) -> dict[str, Server]:
        """In the order in which they need each other."""
        return {"valkey": self.valkey, "api": self.api, "projector": self.projector}

    def _network(self, fault: Fault) -> Proxy:
        return self.http_network if fault.victim == "http network" else self.redis_network


@contextlib.contextmanager
def installation(folder: Path, store_url: str | None = None) -> Iterator[Installation]:
    """Yield an installation in `folder`, its read model in SQLite unless `store_url` says otherwise."""
    places = {
        "--data": str(folder / "data"),
        "--store-url": store_url or str(folder / "data" / "read"),
        "--artifacts-url": str(folder / "data" / "artifacts"),
    }
    with contextlib.ExitStack() as running:
        valkey = running.enter_context(servers.valkey(folder / "valkey"))
        port = free_port()
        http_network = running.enter_context(proxy_before(port))
        redis_network = running.enter_context(proxy_before(valkey.port))
        options = ["--log-url", valkey.url, *(word for place in places.items() for word in place)]
        public = ["--public-url", f"http://127.0.0.1:{http_network.port}"]
        api = MltrailServer(folder, "api", [*options, *public], {}, port)
        projector = MltrailServer(folder, "projector", options, {}, None)
        for server in (api, projector):
            running.callback(server.stop)
            server.start()
        log = open_log(valkey.url)
        running.callback(log.close)
        read_model = open_read_model(places["--store-url"])
        running.callback(read_model.close)
        artifacts = open_artifact_store(places["--artifacts-url"])
        running.callback(artifacts.close)
        whole = Installation(valkey, api, projector, http_network, redis_network, log, read_model, artifacts)
        whole.catch_up()
        yield whole


def _return(server: Server) -> None:
    """Start a server again and again until it answers: it may end while what it needs is away."""
    deadline = time.monotonic() + RETURN_TIMEOUT_S
    while True:
        try:
            return server.start()
        except ServerFailed:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)
