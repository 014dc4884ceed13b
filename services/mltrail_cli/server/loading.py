"""What every role loads: the ports, and what works on them in the background."""

from __future__ import annotations

import socket

import structlog
from rich.console import Console

from mltrail_cli.composition import Ports, open_ports
from mltrail_cli.event_lines import configure_event_lines
from mltrail_cli.server.background import Background
from mltrail_cli.server.background_process import BackgroundProcess
from mltrail_cli.server.greeting import greet
from mltrail_cli.server.listening import Address
from mltrail_cli.settings import Settings
from mltrail_core.near import NearProjector
from mltrail_core.version import mltrail_version

_logger = structlog.get_logger("mltrail.server")


class Loader:
    """Opens what one server process works on, and closes it in the order in which nothing is lost."""

    def __init__(
        self, settings: Settings, address: Address | None, *, background: BackgroundProcess | None = None
    ) -> None:
        """Note what to open.

        Args:
            settings: of the server.
            address: where it is found; None for a role that listens nowhere.
            background: the process that was started to project and do jobs; None: it is done in threads of this one.
        """
        self._settings = settings
        self._address = address
        self._background = Background()
        self._process = background
        self._ports: Ports | None = None

    def open(self) -> Ports:
        """Open the ports, start what runs in the background, and say where everything is."""
        configure_event_lines()
        role = self._settings.role
        self._ports = ports = open_ports(self._settings)
        if self._address is not None:
            ports.log.publish("api_url", self._address.published_url)
        process_id = None
        if self._process is None:
            self._background.start(self._settings, ports)
        else:
            process_id = self._process.wait_until_it_works()
        version = mltrail_version()
        greet(Console(highlight=False), ports, role=role, version=version, address=self._address, background=process_id)
        _logger.info(
            "server started",
            action="server_started",
            role=role,
            version=version,
            url=None if self._address is None else self._address.url,
            log=ports.log.url,
            read_model=ports.read_model.url,
            artifacts=ports.artifacts.url,
            durability=ports.log.durability,
            background_process_id=process_id,
        )
        return ports

    def near_projector(self) -> NearProjector:
        """Return what an API in this process has of the server's projector, after `open`."""
        return self._background.near_projector() if self._process is None else self._process.near

    def serve(self, channel: socket.socket) -> None:
        """Let the projector of this process talk with an API at the other end of a pair of sockets."""
        self._background.serve(channel)

    def close(self) -> None:
        """End the background's work, then release files and connections."""
        if self._process is not None:
            self._process.close()
        self._background.close()
        if self._ports is not None:
            self._ports.close()
