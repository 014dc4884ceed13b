"""A whole server in threads of the calling process, for commands that need one for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from mltrail_cli.composition import Ports, open_ports
from mltrail_cli.server.application import application
from mltrail_cli.server.background import Background
from mltrail_cli.server.listening import Address, address_of, listen
from mltrail_cli.server.running import uvicorn_config
from mltrail_cli.settings import Settings
from mltrail_core.errors import Unavailable

_START_S = 30.0
_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A server that answers, and the ports that it works on."""

    address: Address
    ports: Ports


@contextmanager
def embedded_server(settings: Settings) -> Iterator[EmbeddedServer]:
    """Give a running server of role `all`; it is stopped at the end, as `mltrail server` stops.

    Raises:
        MltrailError: it could not start.
    """
    with listen(settings.host, settings.port) as listener:
        address = address_of(settings, listener)
        ports, background = open_ports(settings), Background()
        try:
            ports.log.publish("api_url", address.published_url)
            background.start(settings, ports)
            app = application(ports, settings, background.near_projector())
            server = uvicorn.Server(uvicorn_config(app, lambda: app.express))
            thread = threading.Thread(target=server.run, args=([listener],), name="mltrail-api")
            thread.start()
            try:
                _wait_until_started(server, thread)
                yield EmbeddedServer(address, ports)
            finally:
                server.should_exit = True
                thread.join()
        finally:
            background.close()
            ports.close()


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    give_up = time.monotonic() + _START_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > give_up:
            raise Unavailable(f"the server did not start within {_START_S:g} s")
        time.sleep(_POLL_S)
