"""A network that fails: a TCP proxy on loopback that stalls, resets and half-closes what goes through it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from tests.server_process import free_port

_READ_BYTES = 256 << 10
_START_TIMEOUT_S = 10.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST instead of FIN."""


@dataclass(slots=True, eq=False)
class _Link:
    """One connection of a client, and the one to the server that belongs to it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    half_closed: set[asyncio.StreamWriter] = field(default_factory=set)
    """Nothing more is written to these, but their ends."""

    def reset(self) -> None:
        for writer in (self.client, self.server):
            opened: socket.socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):  # it is closed already
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            writer.transport.abort()

    def half_close(self, *, towards_server: bool) -> None:
        writer = self.server if towards_server else self.client
        if writer not in self.half_closed:
            self.half_closed.add(writer)
            with contextlib.suppress(OSError):  # it is closed already
                writer.write_eof()


class Proxy:
    """Passes connections on from `port` to `server_port`; its faults may be ordered from any thread."""

    def __init__(self, server_port: int) -> None:
        self.port = free_port()
        self._server_port = server_port
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._flows = asyncio.Event()
        self._flows.set()
        self._listens = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        assert self._listens.wait(_START_TIMEOUT_S), f"the proxy on port {self.port} does not listen"

    def stop(self) -> None:
        """Cut everything and end. Idempotent."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        self._loop.close()

    def stall(self) -> None:
        """Keep all that is sent from now on, in both directions, until `flow`."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def flow(self) -> None:
        """Let go what a stall has kept."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def reset(self) -> None:
        """Cut all connections, so that both sides see a reset and do not know how much has arrived."""
        self._on_all(lambda link: link.reset())

    def half_close(self, random: Random) -> None:
        """End one direction of each connection, whichever; what is sent there is lost, the other direction goes on."""
        seed = random.random()
        directions = Random(seed)
        self._on_all(lambda link: link.half_close(towards_server=directions.random() < 0.5))

    def _on_all(self, fault: Callable[[_Link], None]) -> None:
        def cause() -> None:
            for link in list(self._links):
                fault(link)

        self._loop.call_soon_threadsafe(cause)

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self._listens.set()
        await self._stop.wait()
        server.close()
        for link in list(self._links):
            link.reset()
        self._flows.set()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        await asyncio.gather(*others, return_exceptions=True)

    async def _connected(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        await self._flows.wait()
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:  # nobody listens there now: that is what the client is to see
            to_client.transport.abort()
            return
        link = _Link(to_client, to_server)
        self._links.add(link)
        try:
            await asyncio.gather(self._pump(from_client, to_server, link), self._pump(from_server, to_client, link))
        except OSError:
            link.reset()
        finally:
            self._links.discard(link)
            for writer in (to_client, to_server):
                writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link) -> None:
        while data := await reader.read(_READ_BYTES):
            await self._flows.wait()
            if writer not in link.half_closed:
                writer.write(data)
                await writer.drain()
        link.half_close(towards_server=writer is link.server)


@contextlib.contextmanager
def proxy_before(server_port: int) -> Iterator[Proxy]:
    """Yield a proxy that passes on what it gets."""
    proxy = Proxy(server_port)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
