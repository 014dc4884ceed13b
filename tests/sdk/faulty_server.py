"""`/api/v1/records` and `/api/v1/blobs` on a real log and store, with the faults that a test orders."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal, Self

import msgpack

from mltrail_core.artifacts import open_artifact_store
from mltrail_core.errors import Invalid
from mltrail_core.log import NewRecord, open_log
from mltrail_core.log.genesis import ensure_begun
from mltrail_core.record import decode_record

Fault = Literal["429", "503", "500", "dropped before", "dropped after", "400", "413"]
"""`dropped before` appends nothing; `dropped after` appends and loses the answer."""


class FaultyServer:
    """Answers each request by the next ordered fault; without one, as the API does."""

    def __init__(self, folder: Path) -> None:
        self.faults: deque[Fault] = deque()
        self.answered: list[str] = []
        self.encodings: set[str | None] = set()
        self.log = open_log(str(folder / "log"))
        ensure_begun(self.log)
        self.store = open_artifact_store(str(folder / "artifacts"))
        self.port = _free_port()
        self._server: _Server | None = None
        self.start()

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, on the same port as before."""
        server = _Server(("127.0.0.1", self.port), _Handler)
        server.owner = self
        server.thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        server.thread.start()
        self._server = server

    def stop(self) -> None:
        """Go away as a killed server does: connections are cut."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.thread.join()
        server.cut_connections()
        server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.log.close()
        self.store.close()


class _Server(ThreadingHTTPServer):
    allow_reuse_address = True
    block_on_close = True
    daemon_threads = False
    owner: FaultyServer
    thread: threading.Thread

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

    def do_POST(self) -> None:
        owner = self.server.owner
        body = self._body()
        owner.encodings.add(self.headers.get("Content-Encoding"))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path not in ("/api/v1/records", "/api/v1/blobs"):
            return self._answer(404, {"error_code": "ENDPOINT_NOT_FOUND", "message": self.path})
        fault = owner.faults.popleft() if owner.faults else None
        owner.answered.append(fault or "ok")
        if fault == "dropped before":
            return self._drop()
        if fault in ("429", "503", "500", "400", "413"):
            return self._answer(int(fault), {"error_code": "ORDERED", "message": "as the test ordered"})
        try:
            answer = self._store(body) if self.path == "/api/v1/blobs" else self._append(body)
        except Invalid as error:
            return self._answer(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": str(error)})
        if fault == "dropped after":
            return self._drop()
        return self._answer(200, answer)

    def _append(self, body: bytes) -> dict[str, object]:
        log = self.server.owner.log
        records = [NewRecord(decode_record(frozen).partition, frozen) for frozen in msgpack.unpackb(body)]
        appended = log.append(records)
        places = [{"partition": one.partition, "index": one.index, "appended_us": one.appended_us} for one in appended]
        return {"durability": log.durability, "appended": places}

    def _store(self, body: bytes) -> dict[str, object]:
        blob = self.server.owner.store.put([body])
        return {"sha256": blob.sha256, "size_bytes": blob.size_bytes}

    def _body(self) -> bytes:
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, status: int, answer: dict[str, object]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        if status in (429, 503):
            self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _drop(self) -> None:
        self.close_connection = True
        _cut(self.connection)


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the client was quicker


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
