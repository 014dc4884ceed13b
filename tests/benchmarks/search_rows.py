"""Pages of a search over very many runs of one experiment: in every order, under every kind of filter, first and deep.

The runs come as records of a trainer and are projected; `--search-runs 100000` is the size of the goals.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

import httpx

from tests.benchmarks.peers import Peer
from tests.benchmarks.population import (
    RunShape,
    create_experiment,
    create_runs,
    metric_of_run,
    run_id_of,
    wait_until_projected,
    writing,
)
from tests.benchmarks.results import Result, check
from tests.benchmarks.shapes import Sizes

_SEARCH = "/api/2.0/mlflow/runs/search"
_EXPERIMENT = "905"
_SHAPE = RunShape(metrics=100, params=50)
_PAGES = (50, 100)
_DEEP_PAGES = 5


@dataclass(frozen=True, slots=True)
class _Shape:
    """A search, and the same in Python: whether run n matches, and what it is sorted by."""

    name: str
    filter: str = ""
    order_by: tuple[str, ...] = ()
    matches: Callable[[int], bool] = lambda number: True
    sorts_by: Callable[[int], float] = lambda number: -number


def _param(key: int, value: int) -> Callable[[int], bool]:
    return lambda number: number % (key + 2) == value


def _metric(key: int, below: float) -> Callable[[int], bool]:
    return lambda number: metric_of_run(number, key) < below


_METRIC_ASCENDING = ("metrics.metric_0003 ASC",)
_SHAPES = (
    _Shape("newest first"),
    _Shape("by a metric", order_by=_METRIC_ASCENDING, sorts_by=lambda number: metric_of_run(number, 3)),
    _Shape(
        "by a metric, descending",
        order_by=("metrics.metric_0003 DESC",),
        sorts_by=lambda number: -metric_of_run(number, 3),
    ),
    _Shape(
        "by a param of three values",
        order_by=("params.param_001 DESC",),
        sorts_by=lambda number: -(number % 3) * 1e9 - number,
    ),
    _Shape("by end, first", order_by=("attributes.end_time ASC",), sorts_by=lambda number: number),
    _Shape("by status", order_by=("attributes.status ASC",)),
    _Shape("a param of 2 %", "params.param_048 = 'value 7'", matches=_param(48, 7)),
    _Shape("a metric of 1 ‰", "metrics.metric_0005 < 0.001", matches=_metric(5, 0.001)),
    _Shape(
        "metric, param and tag",
        "metrics.metric_0001 < 0.5 AND params.param_003 = 'value 1' AND tags.tag_0 = 'text 0'",
        matches=lambda number: metric_of_run(number, 1) < 0.5 and number % 5 == 1 and number % 2 == 0,
    ),
    _Shape(
        "metric, param and tag, by a metric",
        "metrics.metric_0001 < 0.5 AND params.param_003 = 'value 1' AND tags.tag_0 = 'text 0'",
        _METRIC_ASCENDING,
        matches=lambda number: metric_of_run(number, 1) < 0.5 and number % 5 == 1 and number % 2 == 0,
        sorts_by=lambda number: metric_of_run(number, 3),
    ),
    _Shape(
        "two metrics that agree in 1 %",
        "metrics.metric_0006 < 0.1 AND metrics.metric_0007 < 0.1",
        matches=lambda number: metric_of_run(number, 6) < 0.1 and metric_of_run(number, 7) < 0.1,
    ),
    _Shape(
        "three metrics that agree in 1 %",
        "metrics.metric_0006 < 0.22 AND metrics.metric_0009 < 0.22 AND metrics.metric_0011 < 0.22",
        matches=lambda number: all(metric_of_run(number, key) < 0.22 for key in (6, 9, 11)),
    ),
    _Shape("nothing", "params.param_003 = 'value 1' AND tags.tag_0 = 'no such text'", matches=lambda number: False),
)


def measure(peer: Peer, sizes: Sizes) -> Iterator[Result]:
    """Give the rows of a search on one peer; only of mltrail, whose log the population is written to."""
    if peer.native is None:
        return
    with writing(peer.native.log_url) as writer:
        create_experiment(writer, _EXPERIMENT, "search")
        create_runs(writer, _EXPERIMENT, range(sizes.search_runs), _SHAPE)
    wait_until_projected(peer.native.log_url, peer.native.store_url, timeout_s=4 * 3600)
    with httpx.Client(base_url=peer.url, timeout=120) as client:
        for shape in _SHAPES:
            matching = sorted(filter(shape.matches, range(sizes.search_runs)), key=shape.sorts_by)
            expected = [run_id_of(_EXPERIMENT, number) for number in matching]
            for size in sorted({min(page, sizes.search_runs // 2) for page in _PAGES}):
                yield from _pages(peer, client, shape, expected, size, sizes)


def _pages(
    peer: Peer, client: httpx.Client, shape: _Shape, expected: list[str], size: int, sizes: Sizes
) -> Iterator[Result]:
    row = f"{size} of {sizes.search_runs:,} runs: {shape.name}"
    body = {"experiment_ids": [_EXPERIMENT], "filter": shape.filter, "order_by": shape.order_by, "max_results": size}
    token, pages = None, 1
    for begin in range(0, max(1, min(len(expected), size * _DEEP_PAGES)), size):
        found, following = _page(peer, client, body, token)
        check(found == expected[begin : begin + size], peer.name, f"{row}: another page from {begin} on")
        check((following is None) == (begin + size >= len(expected)), peer.name, f"{row}: pages end elsewhere")
        if begin == 0:
            yield Result(row, peer.name, _median_ms(peer, client, body, None, sizes), "ms")
        if following is not None:
            token, pages = following, pages + 1
    if token is not None:
        yield Result(f"{row}, page {pages}", peer.name, _median_ms(peer, client, body, token, sizes), "ms")


def _page(peer: Peer, client: httpx.Client, body: dict[str, object], token: str | None) -> tuple[list[str], str | None]:
    answer = client.post(_SEARCH, json=body | ({"page_token": token} if token else {}))
    check(answer.status_code == 200, peer.name, f"{body}: {answer.status_code} {answer.text[:300]}")
    page = answer.json()
    return [run["info"]["run_id"] for run in page.get("runs", [])], page.get("next_page_token")


def _median_ms(peer: Peer, client: httpx.Client, body: dict[str, object], token: str | None, sizes: Sizes) -> float:
    times_s = []
    for _ in range(sizes.growth_times):
        begun = time.perf_counter()
        _page(peer, client, body, token)
        times_s.append(time.perf_counter() - begun)
    return median(times_s) * 1000
