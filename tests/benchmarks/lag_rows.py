"""How long after its acknowledgement a point is seen by a reader: alone, and beside 80 % of what the server can do."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from tests.benchmarks.load import Load, drive
from tests.benchmarks.peers import Peer
from tests.benchmarks.results import Result, check
from tests.benchmarks.shapes import START_MS, Sizes

_PREFIX = "/api/2.0/mlflow/"
_SHARE = 0.8
_GIVE_UP_S = 30.0


def lags(peer: Peer, run_id: str, body: str, fastest: Load, connections: int, sizes: Sizes) -> Iterator[Result]:
    """Give the rows of one peer.

    Args:
        peer: who answers.
        run_id: of the run that is written to.
        body: of the log-metric that is the load.
        fastest: what the peer does when it is asked as often as it answers.
        connections: of the load.
        sizes: how long, and how often.
    """
    yield _row(peer, "nothing beside it", _probed(peer, run_id, sizes.calls, threading.Event()))
    pause_s = max(0.0, connections / (_SHARE * fastest.rate) - fastest.p50_ms / 2000)
    over, loads = threading.Event(), list[Load]()

    def press() -> None:
        try:
            url = peer.url + _PREFIX + "runs/log-metric"
            loads.append(drive(url, body, connections=connections, duration_s=sizes.http_s, pause_s=pause_s))
        finally:
            over.set()

    thread = threading.Thread(target=press)
    thread.start()
    lags_s = _probed(peer, run_id, 1_000_000, over)
    thread.join()
    [beside] = loads
    check(beside.failed == 0, peer.name, f"{beside.failed} of {beside.requests} requests failed")
    yield _row(peer, "beside a load", lags_s)
    yield Result("from acknowledged to seen, that load", peer.name, beside.rate, "req/s", is_rate=True)
    p99_s = sorted(lags_s)[int(len(lags_s) * 0.99)]
    yield Result("from acknowledged to seen, beside a load: p99", peer.name, p99_s * 1000, "ms")


def _row(peer: Peer, beside: str, lags_s: list[float]) -> Result:
    return Result(f"from acknowledged to seen, {beside}: p50", peer.name, sorted(lags_s)[len(lags_s) // 2] * 1000, "ms")


def _probed(peer: Peer, run_id: str, times: int, over: threading.Event) -> list[float]:
    """Return for points, one after the other, how long after its acknowledgement each was seen; at least one."""
    connection = http.client.HTTPConnection(urlsplit(peer.url).netloc, timeout=_GIVE_UP_S)
    found: list[float] = []
    first = time.time_ns() // 1000
    try:
        while not found or (len(found) < times and not over.is_set()):
            step = first + len(found)
            point = {"run_id": run_id, "key": "lag", "value": step, "timestamp": START_MS, "step": step}
            _ask(connection, "POST", "runs/log-metric", json.dumps(point))
            acknowledged = time.perf_counter()
            while _last_step(_ask(connection, "GET", f"runs/get?run_id={run_id}")) != step:
                check(time.perf_counter() - acknowledged < _GIVE_UP_S, peer.name, f"step {step} of lag was not seen")
            found.append(time.perf_counter() - acknowledged)
    finally:
        connection.close()
    return found


def _last_step(answer: bytes) -> int | None:
    metrics = json.loads(answer)["run"]["data"].get("metrics", [])
    return next((int(metric["step"]) for metric in metrics if metric["key"] == "lag"), None)


def _ask(connection: http.client.HTTPConnection, method: str, path: str, body: str | None = None) -> bytes:
    connection.request(method, _PREFIX + path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    read = answer.read()
    check(answer.status == 200, path, f"answered {answer.status}: {read[:300]!r}")
    return read
