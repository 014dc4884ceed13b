"""A little HTTP server that receives webhooks, answers as a test tells it to, and checks signatures as MLflow says."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Received:
    """One request: its path, headers and body."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def delivery_id(self) -> str:
        return self.headers["X-MLflow-Delivery-Id"]

    @property
    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def word(self) -> str:
        return f"{self.told['entity']}.{self.told['action']}"

    def is_signed_with(self, secret: str) -> bool:
        """Verify the signature by the recipe in MLflow's documentation of webhooks."""
        version, _, found = self.headers["X-MLflow-Signature"].partition(",")
        signed = f"{self.delivery_id}.{self.headers['X-MLflow-Timestamp']}.{self.body.decode()}"
        expected = base64.b64encode(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()).decode()
        return version == "v1" and hmac.compare_digest(found, expected)


@dataclass
class Receiver:
    """What was received, and what is answered: the next of `answers`, or 200 when there is none left."""

    url: str
    received: list[Received] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    answer_headers: dict[str, str] = field(default_factory=dict)

    def of(self, word: str) -> list[Received]:
        """Return what was received of one kind of event."""
        return [request for request in self.received if request.word == word]


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """Give a running receiver."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                receiver.received.append(Received(self.path, dict(self.headers), body))
                status = receiver.answers.pop(0) if receiver.answers else 200
            self.send_response(status)
            for name, value in receiver.answer_headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"fine")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}/hook")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
