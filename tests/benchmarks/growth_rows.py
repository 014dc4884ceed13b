"""What one operation costs while the data doubles four times: it should stay as it is, or grow with the logarithm.

Columns are sizes, each twice the one before: of the runs in an experiment, the points of a series, the keys of a run.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import httpx

from tests.benchmarks.peers import NativePlaces, Peer
from tests.benchmarks.population import (
    RunShape,
    Writer,
    add_points,
    create_experiment,
    create_runs,
    run_id_of,
    wait_until_projected,
    writing,
)
from tests.benchmarks.results import Result, check
from tests.benchmarks.shapes import Sizes

_MLFLOW = "/api/2.0/mlflow"
_RUNS, _POINTS, _KEYS, _WIDE_RUNS = "901", "902", "903", "904"
"""The experiments of the parts."""
_SHAPE = RunShape(metrics=40, params=20)
_WIDE_SHAPE = RunShape(metrics=1500, params=150, tags=50, steps=20)
"""Of FastTrackML's reference data, which has 75,000 such runs."""
_PAGE = 50


@dataclass(frozen=True, slots=True)
class _Server:
    """A peer, a client of it, and how often each operation is timed."""

    peer: Peer
    client: httpx.Client
    times: int

    def post(self, path: str, body: object) -> dict:  # type: ignore[type-arg]
        answer = self.client.post(path, json=body)
        check(answer.status_code == 200, self.peer.name, f"{path}: {answer.status_code} {answer.text[:300]}")
        return dict(answer.json())

    def get(self, path: str, **parameters: str | int) -> dict:  # type: ignore[type-arg]
        answer = self.client.get(path, params=parameters)
        check(answer.status_code == 200, self.peer.name, f"{path}: {answer.status_code} {answer.text[:300]}")
        return dict(answer.json())

    def timed(self, row: str, size: int, work: Callable[[], object]) -> Result:
        """Return the median time of an operation; the first call is not counted."""
        work()
        times_s = []
        for _ in range(self.times):
            begun = time.perf_counter()
            work()
            times_s.append(time.perf_counter() - begun)
        return Result(row, f"{1 << size}×", median(times_s) * 1000, "ms")


def measure(peer: Peer, sizes: Sizes) -> Iterator[Result]:
    """Give the growth rows of one peer; only of mltrail, whose log the population is written to."""
    if peer.native is None:
        return
    with _filling(peer.native) as writer:
        for experiment_id in (_RUNS, _POINTS, _KEYS, _WIDE_RUNS):
            create_experiment(writer, experiment_id, f"growth {experiment_id}")
    with httpx.Client(base_url=peer.url, timeout=120) as client:
        server = _Server(peer, client, sizes.growth_times)
        yield from _runs(server, peer.native, _RUNS, _SHAPE, _doubled(sizes.growth_runs, sizes))
        yield from _runs(server, peer.native, _WIDE_RUNS, _WIDE_SHAPE, _doubled(sizes.growth_wide_runs, sizes))
        yield from _points(server, peer.native, _doubled(sizes.growth_points, sizes))
        yield from _keys(server, peer.native, _doubled(sizes.growth_keys, sizes))


def _doubled(first: int, sizes: Sizes) -> list[int]:
    return [first << size for size in range(sizes.doublings + 1)]


@contextlib.contextmanager
def _filling(places: NativePlaces) -> Iterator[Writer]:
    """Give a writer; on leaving wait until all it wrote can be read."""
    with writing(places.log_url) as writer:
        yield writer
    wait_until_projected(places.log_url, places.store_url)


def _runs(
    server: _Server, places: NativePlaces, experiment_id: str, shape: RunShape, totals: Sequence[int]
) -> Iterator[Result]:
    of = f"runs of {shape.metrics:,} metrics from {totals[0]:,} on: "
    done = 0
    for size, total in enumerate(totals):
        begun = time.perf_counter()
        with _filling(places) as writer:
            create_runs(writer, experiment_id, range(done, total), shape)
        filled_ms = (time.perf_counter() - begun) / (total - done) * 1000
        done = total
        yield Result(f"{of}append and project a run", f"{1 << size}×", filled_ms, "ms")
        yield from _of_runs(server, experiment_id, of, size, total)


def _of_runs(server: _Server, experiment_id: str, of: str, size: int, total: int) -> Iterator[Result]:
    middle = run_id_of(experiment_id, total // 2)
    page = {"experiment_ids": [experiment_id], "max_results": _PAGE}
    found = server.post(f"{_MLFLOW}/runs/search", page)
    is_right = min(_PAGE, total) <= len(found["runs"]) <= _PAGE  # `create a run` adds some
    check(is_right, server.peer.name, f"{len(found['runs'])} runs on the first page")
    searches: dict[str, dict[str, object]] = {
        "by start": {},
        "by a metric": {"order_by": ["metrics.metric_0003 DESC"]},
        "with filters": {
            "filter": "metrics.metric_0001 < 0.5 AND params.param_003 = 'value 1' AND tags.tag_0 = 'text 1'"
        },
    }
    for name, terms in searches.items():
        search = partial(server.post, f"{_MLFLOW}/runs/search", page | terms)
        yield server.timed(f"{of}first page {name}", size, search)
        token = _token_near_the_end(server, page | terms, max(1, total // 50))
        if token is not None:
            search = partial(server.post, f"{_MLFLOW}/runs/search", page | terms | {"page_token": token})
            yield server.timed(f"{of}last page {name}", size, search)
    yield server.timed(f"{of}get a run", size, lambda: server.get(f"{_MLFLOW}/runs/get", run_id=middle))
    yield _log_metric(server, of, size, middle)
    yield server.timed(f"{of}create a run", size, lambda: _create_run(server, experiment_id))


def _token_near_the_end(server: _Server, body: dict[str, object], runs_a_page: int) -> str | None:
    """Return the token of the last of the pages, of this size; None when the first page is the only one."""
    token: str | None = None
    while True:
        found = server.post(
            f"{_MLFLOW}/runs/search", body | {"max_results": runs_a_page} | ({"page_token": token} if token else {})
        )
        if "next_page_token" not in found:
            return token
        token = found["next_page_token"]


def _create_run(server: _Server, experiment_id: str) -> None:
    server.post(f"{_MLFLOW}/runs/create", {"experiment_id": experiment_id, "start_time": 1_700_000_000_000})


def _points(server: _Server, places: NativePlaces, totals: Sequence[int]) -> Iterator[Result]:
    of = f"points of a series from {totals[0]:,} on: "
    run_id = run_id_of(_POINTS, 0)
    done = 0
    for size, total in enumerate(totals):
        with _filling(places) as writer:
            if not size:
                create_runs(writer, _POINTS, range(1), _SHAPE)
            add_points(writer, run_id, "loss", done, total - done)
        done = total
        yield server.timed(f"{of}first 1,000 points", size, partial(_history, server, run_id, "loss"))
        spread = partial(server.get, f"/api/v1/runs/{run_id}/metrics/loss", points=1000)
        yield server.timed(f"{of}1,000 points spread over all", size, spread)
        yield server.timed(f"{of}get the run", size, lambda: server.get(f"{_MLFLOW}/runs/get", run_id=run_id))
        yield _log_metric(server, of, size, run_id)


def _keys(server: _Server, places: NativePlaces, totals: Sequence[int]) -> Iterator[Result]:
    of = f"keys of a run from {totals[0]:,} on: "
    for size, total in enumerate(totals):
        with _filling(places) as writer:
            create_runs(writer, _KEYS, range(size, size + 1), RunShape(metrics=total, params=20, steps=20))
        run_id = run_id_of(_KEYS, size)
        yield server.timed(f"{of}one key's 20 points", size, partial(_history, server, run_id, "metric_0007"))
        yield _log_metric(server, of, size, run_id)


def _history(server: _Server, run_id: str, key: str) -> None:
    server.get(f"{_MLFLOW}/metrics/get-history", run_id=run_id, metric_key=key, max_results=1000)


def _log_metric(server: _Server, of: str, size: int, run_id: str) -> Result:
    body = {"run_id": run_id, "key": "logged", "value": 0.5, "timestamp": 1_700_000_000_000, "step": 0}
    return server.timed(f"{of}log-metric", size, lambda: server.post(f"{_MLFLOW}/runs/log-metric", body))
