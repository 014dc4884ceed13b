"""A loopback HTTP proxy that drops requests, loses answers and sends requests twice, as its `choose` orders."""

from __future__ import annotations

import http.client
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, get_args
from urllib.parse import urlsplit

Fault = Literal["request lost", "answer lost", "sent twice", "sent twice at once"]
FAULTS: tuple[Fault, ...] = get_args(Fault)
Choose = Callable[[str, str], Fault | None]
"""Is told method and path of each request, one call at a time."""

_TIMEOUT_S = 30.0
_OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(slots=True)
class UnreliableProxy:
    """What went through: `done` counts (method, path without query) that the server was sent, `faulty` the faults."""

    url: str
    upstream: tuple[str, int]
    choose: Choose
    requests: int = 0
    done: Counter[tuple[str, str]] = field(default_factory=Counter)
    faulty: Counter[tuple[Fault, str, str]] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def order(self, method: str, path: str) -> Fault | None:
        """Choose what happens to a request, and count it."""
        with self.lock:
            fault = self.choose(method, path)
            self.requests += 1
            self.done[method, path] += {None: 1, "request lost": 0, "answer lost": 1}.get(fault, 2)
            if fault is not None:
                self.faulty[fault, method, path] += 1
            return fault

    def forward(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> _Answer:
        """Send a request to the server, on a connection of its own."""
        connection = http.client.HTTPConnection(*self.upstream, timeout=_TIMEOUT_S)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in [*headers, ("Content-Length", str(len(body))), ("Connection", "close")]:
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return _Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def times_done(self, method: str, path_end: str) -> int:
        """Return how often the server was sent requests whose path ends so."""
        return sum(count for (sent, path), count in self.done.items() if sent == method and path.endswith(path_end))


@contextmanager
def unreliable_proxy(server_url: str, choose: Choose) -> Iterator[UnreliableProxy]:
    """Yield a proxy before the server."""
    address = urlsplit(server_url)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.proxy = UnreliableProxy(
        f"http://127.0.0.1:{server.server_address[1]}", (address.hostname or "", address.port or 80), choose
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.proxy
    finally:
        server.shutdown()
        thread.join()
        server.cut_connections()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    proxy: UnreliableProxy

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.connections: set[socket.socket] = set()

    def cut_connections(self) -> None:
        for connection in list(self.connections):
            _cut(connection)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""

    def _pass_on(self) -> None:
        proxy, body = self.server.proxy, self._body()
        fault = proxy.order(self.command, self.path.partition("?")[0])
        if fault == "request lost":
            return self._hang_up()
        headers = [(name, value) for name, value in self.headers.items() if name.lower() not in _OF_ONE_HOP]
        request = (self.command, self.path, headers, body)
        if fault == "sent twice at once":
            with ThreadPoolExecutor(2) as threads:
                answer = [sent.result() for sent in [threads.submit(proxy.forward, *request) for _ in range(2)]][1]
        else:
            answer = proxy.forward(*request)
        if fault == "answer lost":
            return self._hang_up()
        if fault == "sent twice":
            answer = proxy.forward(*request)
        self._answer(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _pass_on

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        parts = []
        while size_bytes := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size_bytes))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, answer: _Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            if name.lower() not in _OF_ONE_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def _hang_up(self) -> None:
        self.close_connection = True
        _cut(self.connection)


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other side was quicker
