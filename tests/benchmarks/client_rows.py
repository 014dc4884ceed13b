"""What the stock `mlflow` client waits for, one process and one call at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

from mlflow.entities import Metric, Run
from mlflow.tracking import MlflowClient

from tests.benchmarks.peers import Peer
from tests.benchmarks.results import Result, check
from tests.benchmarks.shapes import RUN_METRICS, RUN_PARAMS, START_MS, Sizes, metric_value
from tests.benchmarks.whole_runs import create_whole_run


def measure(peer: Peer, sizes: Sizes) -> Iterator[Result]:
    """Give the client rows of one peer."""
    client = MlflowClient(peer.url, registry_uri=peer.url)
    experiment_id = client.create_experiment("client rows")
    yield _log_metric(peer, client, experiment_id, sizes)
    yield from _history(peer, client, experiment_id, sizes)
    yield _create_runs(peer, client, experiment_id, sizes)
    for count in (sizes.small_page, sizes.runs):
        yield _search(peer, client, experiment_id, count, sizes)


def _log_metric(peer: Peer, client: MlflowClient, experiment_id: str, sizes: Sizes) -> Result:
    run_id = client.create_run(experiment_id).info.run_id
    times_s = []
    for step in range(sizes.calls):
        begun = time.perf_counter()
        client.log_metric(run_id, "loss", metric_value(step), timestamp=START_MS + step, step=step)
        times_s.append(time.perf_counter() - begun)
    if not peer.is_canned:
        points = client.get_metric_history(run_id, "loss")
        check(
            sorted(p.step for p in points) == list(range(sizes.calls)), peer.name, f"history has {len(points)} points"
        )
    return Result("log_metric, p50", peer.name, median(times_s) * 1000, "ms")


def _history(peer: Peer, client: MlflowClient, experiment_id: str, sizes: Sizes) -> Iterator[Result]:
    """Log one long series in batches, and read it."""
    run_id = client.create_run(experiment_id).info.run_id
    key = f"history_{sizes.history_points}"
    begun = time.perf_counter()
    for first in range(0, sizes.history_points, sizes.batch_points):
        steps = range(first, min(first + sizes.batch_points, sizes.history_points))
        client.log_batch(run_id, metrics=[Metric(key, metric_value(n), START_MS + n, n) for n in steps])
    row, rate = f"log_batch, {sizes.batch_points:,} points each", sizes.history_points / (time.perf_counter() - begun)
    yield Result(row, peer.name, rate, "points/s", is_rate=True)
    begun = time.perf_counter()
    points = client.get_metric_history(run_id, key)
    took_s = time.perf_counter() - begun
    # FastTrackML gives no order.
    is_right = sorted((p.step, p.value) for p in points) == [(n, metric_value(n)) for n in range(sizes.history_points)]
    check(is_right, peer.name, f"the history of {sizes.history_points} points came back as {len(points)} others")
    yield Result(f"read a history of {sizes.history_points:,} points", peer.name, took_s, "s")


def _create_runs(peer: Peer, client: MlflowClient, experiment_id: str, sizes: Sizes) -> Result:
    begun = time.perf_counter()
    for number in range(sizes.runs):
        create_whole_run(client, experiment_id, number)
    rate = sizes.runs / (time.perf_counter() - begun)
    return Result("create a run, log 40 metrics, 20 params, 5 tags", peer.name, rate, "runs/s", is_rate=True)


def _search(peer: Peer, client: MlflowClient, experiment_id: str, count: int, sizes: Sizes) -> Result:
    times_s = []
    for _ in range(sizes.searches):
        begun = time.perf_counter()
        runs = client.search_runs([experiment_id], filter_string="tags.tag_0 LIKE 'text %'", max_results=count)
        times_s.append(time.perf_counter() - begun)
        check(len(runs) == count and all(_is_whole(run) for run in runs), peer.name, f"search of {count} runs")
    return Result(f"search, {count:,} of {sizes.runs:,} runs", peer.name, median(times_s) * 1000, "ms")


def _is_whole(run: Run) -> bool:
    return len(run.data.metrics) == RUN_METRICS and len(run.data.params) == RUN_PARAMS
