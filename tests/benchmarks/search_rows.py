"""Pages of a search over very many runs of one experiment: in every order, under every kind of filter, first and deep.

The first runs come as records of a trainer and are projected, the others are copied from one of them;
`--search-runs 100000` is the size of the goals. Each page is asked for after a write, so that none comes from memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median

import httpx

from mltrail_core.events import ExperimentTagSet
from mltrail_core.ids import CONTROL
from tests.benchmarks.copied_runs import copy_runs
from tests.benchmarks.peers import Peer
from tests.benchmarks.population import (
    RunShape,
    Writer,
    create_experiment,
    create_runs,
    metric_of_run,
    run_id_of,
    wait_until_projected,
    writing,
)
from tests.benchmarks.results import Result, check
from tests.benchmarks.shapes import Sizes

_STOCK = "/api/2.0/mlflow/runs/search"
_NATIVE = "/api/v1/runs/search"
_EXPERIMENT = "905"
_SHAPE = RunShape(metrics=100, params=50)
_PROJECTED_RUNS = 200
"""So many at most: they have keys in every partition. The others are copies."""
_COLUMNS = ("metrics.metric_0003", "params.param_001", "status")
_PAGE = 100
_DEEP_PAGES = 5


@dataclass(frozen=True, slots=True)
class _Shape:
    """A search, and the same in Python: whether run n matches, and what it is sorted by.

    `is_native` says that MLflow's grammar has no words for it.
    """

    name: str
    filter: str = ""
    order_by: tuple[str, ...] = ()
    matches: Callable[[int], bool] = lambda number: True
    sorts_by: Callable[[int], float] = lambda number: -number
    is_native: bool = False


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
    _Shape(
        "a metric below and above",
        "metrics.metric_0005 < 0.5 AND metrics.metric_0005 > 0.5",
        matches=lambda number: False,
    ),
    _Shape(
        "two params that never agree",
        "params.param_002 = 'value 1' AND params.param_006 = 'value 0' AND metrics.metric_0005 < 0.9",
        matches=lambda number: False,
    ),
    _Shape(
        "metric, param and tag, by a least value",
        "metrics.metric_0001 < 0.5 AND params.param_003 = 'value 1' AND tags.tag_0 = 'text 0'",
        ("metrics.metric_0003.min",),
        matches=lambda number: metric_of_run(number, 1) < 0.5 and number % 5 == 1 and number % 2 == 0,
        sorts_by=lambda number: metric_of_run(number, 3),
        is_native=True,
    ),
    _Shape(
        "(param OR param) AND (tag OR metric)",
        "(params.param_008 = 'value 3' OR params.param_047 = 'value 7')"
        " AND (tags.tag_1 = 'text 3' OR metrics.metric_0010 < 0.1)",
        matches=lambda number: (
            (number % 10 == 3 or number % 49 == 7) and (number % 12 == 3 or metric_of_run(number, 10) < 0.1)
        ),
        is_native=True,
    ),
)


def measure(peer: Peer, sizes: Sizes) -> Iterator[Result]:
    """Give the rows of a search on one peer; only of mltrail, whose log and read model the population is written to."""
    if peer.native is None:
        return
    projected = min(_PROJECTED_RUNS, sizes.search_runs // 2)
    with writing(peer.native.log_url) as writer:
        create_experiment(writer, _EXPERIMENT, "search")
        create_runs(writer, _EXPERIMENT, range(projected), _SHAPE)
    wait_until_projected(peer.native.log_url, peer.native.store_url)
    copy_runs(peer, peer.native.store_url, _EXPERIMENT, projected, sizes.search_runs)
    with httpx.Client(base_url=peer.url, timeout=120) as client, writing(peer.native.log_url) as writer:
        asking = _Asking(peer, client, writer, sizes)
        for shape in _SHAPES:
            body: dict[str, object] = {"filter": shape.filter, "order_by": shape.order_by}
            matching = sorted(filter(shape.matches, range(sizes.search_runs)), key=shape.sorts_by)
            expected = [run_id_of(_EXPERIMENT, number) for number in matching]
            size = min(_PAGE, sizes.search_runs // 2)
            row = f"{size} of {sizes.search_runs:,} runs: {shape.name}"
            if not shape.is_native:
                yield from asking.pages(row, _STOCK, body | {"experiment_ids": [_EXPERIMENT]}, expected, size)
            asked = body | {"experiments": [_EXPERIMENT], "columns": _COLUMNS}
            yield from asking.pages(f"{row}; {len(_COLUMNS)} columns", _NATIVE, asked, expected, size)
        yield from asking.keys()


@dataclass(frozen=True, slots=True)
class _Asking:
    """What asks one peer for pages, each time after a write."""

    peer: Peer
    client: httpx.Client
    writer: Writer
    sizes: Sizes

    def pages(self, row: str, path: str, body: dict[str, object], expected: list[str], size: int) -> Iterator[Result]:
        """Give the time of the first and of a deep page of a search whose whole answer is `expected`."""
        token, pages = None, 1
        body = body | {"max_results": size}
        for begin in range(0, max(1, min(len(expected), size * _DEEP_PAGES)), size):
            found, following = self._page(path, body, token)
            check(found == expected[begin : begin + size], self.peer.name, f"{row}: another page from {begin} on")
            check((following is None) == (begin + size >= len(expected)), self.peer.name, f"{row}: pages end elsewhere")
            if begin == 0:
                yield self._timed(row, partial(self._page, path, body, None))
            if following is not None:
                token, pages = following, pages + 1
        if token is not None:
            yield self._timed(f"{row}, page {pages}", partial(self._page, path, body, token))

    def keys(self) -> Iterator[Result]:
        """Give the time of each catalogue of keys."""
        for kind, count in (("metrics", _SHAPE.metrics), ("params", _SHAPE.params)):
            row = f"the {count} keys of {kind} of {self.sizes.search_runs:,} runs"
            check(len(self._keys(kind)) == count, self.peer.name, f"{row}: other keys")
            yield self._timed(row, partial(self._keys, kind))

    def _keys(self, kind: str) -> list[str]:
        answer = self.client.get(f"/api/v1/experiments/{_EXPERIMENT}/keys", params={"kind": kind})
        check(answer.status_code == 200, self.peer.name, f"keys: {answer.status_code} {answer.text[:300]}")
        found: list[str] = answer.json()["keys"]
        return found

    def _page(self, path: str, body: dict[str, object], token: str | None) -> tuple[list[str], str | None]:
        answer = self.client.post(path, json=body | ({"page_token": token} if token else {}))
        check(answer.status_code == 200, self.peer.name, f"{body}: {answer.status_code} {answer.text[:300]}")
        page = answer.json()
        found = [run["info"]["run_id"] if path == _STOCK else run["run_id"] for run in page.get("runs", [])]
        return found, page.get("next_page_token")

    def _timed(self, row: str, ask: Callable[[], object]) -> Result:
        times_s = []
        for number in range(self.sizes.searches):
            if not self.sizes.is_quick:  # which asks for right answers only
                self._write(number)
            begun = time.perf_counter()
            ask()
            times_s.append(time.perf_counter() - begun)
        return Result(row, self.peer.name, median(times_s) * 1000, "ms")

    def _write(self, number: int) -> None:
        """Have something projected, after which nothing that was kept in memory is told again."""
        assert self.peer.native is not None
        self.writer.add(CONTROL, [ExperimentTagSet(number + 1, _EXPERIMENT, "asked", str(number))])
        self.writer.flush()
        wait_until_projected(self.peer.native.log_url, self.peer.native.store_url)
