"""How many requests a second a server answers when many clients ask at once, what each costs it in CPU time, and how
soon what was logged is seen."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Generator, Iterator

import httpx
from mlflow.tracking import MlflowClient

from tests.benchmarks.lag_rows import lags
from tests.benchmarks.load import NUMBER, Load, drive
from tests.benchmarks.peers import DURABLE, WORKING, Peer
from tests.benchmarks.processes import cpu_s
from tests.benchmarks.results import Result, check
from tests.benchmarks.shapes import START_MS, Sizes
from tests.benchmarks.whole_runs import create_whole_run

_PREFIX = "/api/2.0/mlflow/"
_JSON = {"Content-Type": "application/json"}
_WRITES_A_S = 50
LOGGING_CONNECTIONS, SEARCHING_CONNECTIONS = 16, 4


def measure(peer: Peer, sizes: Sizes) -> Iterator[Result]:
    """Give the HTTP rows of one peer; not of the durable floors, whose requests do not share a write."""
    if peer.name in (DURABLE, WORKING):
        return
    client = MlflowClient(peer.url, registry_uri=peer.url)
    experiment_id = client.create_experiment("http rows")
    run_id = client.create_run(experiment_id).info.run_id
    metric = {"run_id": run_id, "key": "loss", "value": 0.5, "timestamp": START_MS, "step": NUMBER}
    body = json.dumps(metric).replace(f'"{NUMBER}"', NUMBER)
    row = f"log-metric, {LOGGING_CONNECTIONS} connections"
    fastest = yield from _load(peer, row, "runs/log-metric", body, LOGGING_CONNECTIONS, sizes)
    answered = fastest.requests
    if not peer.is_canned:
        points = len(client.get_metric_history(run_id, "loss"))
        # A request that was under way when the time was over is logged and not counted.
        check(answered <= points <= answered + LOGGING_CONNECTIONS, peer.name, f"{points} of {answered} were logged")
        lag_run_id = client.create_run(experiment_id).info.run_id
        yield from lags(peer, lag_run_id, body, fastest, LOGGING_CONNECTIONS, sizes)
    for number in range(sizes.runs):
        create_whole_run(client, experiment_id, number)
    search = {"experiment_ids": [experiment_id], "max_results": sizes.small_page}
    row = f"search of {sizes.small_page:,} of {sizes.runs:,} runs, {SEARCHING_CONNECTIONS} connections"
    yield from _load(peer, row, "runs/search", json.dumps(search), SEARCHING_CONNECTIONS, sizes)
    with _written_to(peer, body):
        yield from _load(
            peer, f"{row}, {_WRITES_A_S} writes/s", "runs/search", json.dumps(search), SEARCHING_CONNECTIONS, sizes
        )


@contextlib.contextmanager
def _written_to(peer: Peer, body: str) -> Iterator[None]:
    """Log a metric every now and then, so that no page is what it was before."""
    over, failures = threading.Event(), list[int]()

    def write() -> None:
        with httpx.Client(timeout=30) as client:
            number = 0
            while not over.wait(1 / _WRITES_A_S):
                number += 1
                content = body.replace(NUMBER, str(-number))
                answer = client.post(peer.url + _PREFIX + "runs/log-metric", content=content, headers=_JSON)
                if answer.status_code != 200:
                    failures.append(answer.status_code)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    check(not failures, peer.name, f"writes beside the searches were answered {failures[:3]}")


def _load(peer: Peer, row: str, path: str, body: str, connections: int, sizes: Sizes) -> Generator[Result, None, Load]:
    """Give the rows of one burst, and return how it went."""
    used_s = cpu_s([peer.group])
    load = drive(peer.url + _PREFIX + path, body, connections=connections, duration_s=sizes.http_s)
    used_s = cpu_s([peer.group]) - used_s
    check(load.failed == 0 and load.requests > 0, peer.name, f"{load.failed} of {load.requests} requests failed")
    yield Result(row, peer.name, load.rate, "req/s", is_rate=True)
    yield Result(f"{row}: p50", peer.name, load.p50_ms, "ms")
    yield Result(f"{row}: CPU of the server", peer.name, used_s / load.requests * 1000, "ms/req")
    return load
