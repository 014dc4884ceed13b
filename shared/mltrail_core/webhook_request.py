"""One request that tells a webhook of an event: its body, the headers that sign it, and what the receiver answers.

Body, headers and signature are MLflow's (`mlflow.webhooks.delivery`), which follow https://www.standardwebhooks.com.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from mltrail_core.webhook_target import NoAddress, TargetRules, connect, parse_target

SIGNATURE_HEADER, SIGNATURE_VERSION = "X-MLflow-Signature", "v1"
TIMESTAMP_HEADER = "X-MLflow-Timestamp"
DELIVERY_ID_HEADER = "X-MLflow-Delivery-Id"

TIMEOUT_S = 10.0
"""How long a receiver may take for all of its answer; who has more to do answers first and works then."""
_LOOK_S = 0.1
_MAX_BODY_BYTES = 64 << 10
"""So much of an answer is read."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the receiver answered. `retry_after_s` is what it asks for by `Retry-After`, in seconds."""

    status_code: int
    body: str
    retry_after_s: float | None


class NoReply(Exception):
    """Nobody answered, or not in time, or not in HTTP."""


def webhook_body(word: str, payload: object, at_us: int) -> str:
    """Return the JSON that says what happened (`model_version.created`), to what, and when (µs UTC)."""
    entity, _, action = word.partition(".")
    when = datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat()
    return json.dumps({"entity": entity, "action": action, "timestamp": when, "data": payload})


def webhook_headers(body: str, delivery_id: str, now_s: int, secret: str | None) -> dict[str, str]:
    """Return the headers of a delivery sent now (s UTC); it is signed when there is a secret."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "mltrail",
        DELIVERY_ID_HEADER: delivery_id,
        TIMESTAMP_HEADER: str(now_s),
    }
    if secret:
        signed = hmac.new(secret.encode(), f"{delivery_id}.{now_s}.{body}".encode(), hashlib.sha256).digest()
        headers[SIGNATURE_HEADER] = f"{SIGNATURE_VERSION},{base64.b64encode(signed).decode()}"
    return headers


def post(
    url: str,
    body: str,
    headers: Mapping[str, str],
    rules: TargetRules,
    *,
    timeout_s: float = TIMEOUT_S,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Reply:
    """Send the body once and return what is answered; redirects are answers, they are not followed.

    Raises:
        Invalid: the rules do not allow the URL.
        NoReply: nobody answered within `timeout_s`, or it was cancelled.
    """
    parts = parse_target(url, rules)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    cut: list[str] = []
    try:
        with contextlib.closing(connect(parts, rules, timeout_s)) as connection:
            assert connection.sock is not None
            with _cut_after(timeout_s, connection.sock, is_cancelled, cut):
                connection.request("POST", path, body.encode(), dict(headers))
                answer = connection.getresponse()
                text = answer.read(_MAX_BODY_BYTES).decode("utf-8", "replace")
    except (OSError, NoAddress, http.client.HTTPException, UnicodeError) as error:
        raise NoReply(cut[0] if cut else f"{type(error).__name__}: {error}") from error
    return Reply(answer.status, text, _seconds(answer.getheader("Retry-After")))


@contextlib.contextmanager
def _cut_after(
    timeout_s: float, connected: socket.socket, is_cancelled: Callable[[], bool], cut: list[str]
) -> Iterator[None]:
    """Cut the connection when the block takes too long, and say why in `cut`: a socket's own timeout counts anew with
    each byte."""
    is_done = threading.Event()
    deadline = time.monotonic() + timeout_s

    def watch() -> None:
        while not is_done.wait(_LOOK_S):
            is_late = time.monotonic() > deadline
            if is_late or is_cancelled():
                cut.append(f"no answer within {timeout_s:g} s" if is_late else "cancelled")
                with contextlib.suppress(OSError):  # the other side was faster
                    connected.shutdown(socket.SHUT_RDWR)
                return

    thread = threading.Thread(target=watch, name="mltrail-webhook-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_done.set()
        thread.join()


def _seconds(retry_after: str | None) -> float | None:
    text = (retry_after or "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 9 else None
