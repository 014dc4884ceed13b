"""Reading long series: what a chart, a page and an export cost the server, and what compaction costs.

CPU of the server's processes, which on PostgreSQL leaves out the database's own.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial

import httpx
import numpy as np
from sqlalchemy import insert

from mltrail_core.metric_block import MetricBlock
from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_core.readmodel.tables import metric_blocks
from mltrail_core.series import EVERYTHING, outline
from mltrail_jobs.compaction import Overtaken, compact_run
from tests.benchmarks.peers import Peer
from tests.benchmarks.population import (
    RunShape,
    add_points,
    create_experiment,
    create_runs,
    run_id_of,
    wait_until_projected,
    writing,
)
from tests.benchmarks.processes import cpu_s, memory_bytes
from tests.benchmarks.results import Result, check
from tests.benchmarks.shapes import Sizes

_EXPERIMENT = "911"
_SHAPE = RunShape(metrics=4, params=1)
_CHART_POINTS = 1000
_PAGE = 1000
_CELLS = 200


def measure(peer: Peer, sizes: Sizes) -> Iterator[Result]:
    """Give the rows of reading long series; only of mltrail, whose log they are written to."""
    if peer.native is None:
        return
    with writing(peer.native.log_url) as writer:
        create_experiment(writer, _EXPERIMENT, "series")
        create_runs(writer, _EXPERIMENT, range(len(sizes.series_points)), _SHAPE)
    with (
        httpx.Client(base_url=peer.url, timeout=300) as client,
        contextlib.closing(open_read_model(peer.native.store_url)) as read_model,
    ):
        for number, total in enumerate(sizes.series_points):
            run_id = run_id_of(_EXPERIMENT, number)
            with writing(peer.native.log_url) as writer:
                add_points(writer, run_id, "loss", 0, total)
            wait_until_projected(peer.native.log_url, peer.native.store_url)
            yield from _of_series(peer, client, read_model, run_id, total, sizes.growth_times)
    yield from _trickled(peer.name, sizes.series_blocks)


def _of_series(
    peer: Peer, client: httpx.Client, read_model: ReadModel, run_id: str, total: int, times: int
) -> Iterator[Result]:
    of = f"{total:,} points: "
    chart = partial(_chart, peer, client, run_id, total)
    yield _cpu(peer, f"{of}{_CHART_POINTS:,} for a chart, before compaction", chart, 1)
    begun = cpu_s([peer.group])
    compacting_s = _compact(read_model, run_id)
    compacting_s += cpu_s([peer.group]) - begun  # the server's own job may have done a part
    yield Result(f"{of}compacted in a CPU second", peer.name, total / compacting_s, "points", is_rate=True)
    _wait_until_idle(peer)
    yield _cpu(peer, f"{of}{_CHART_POINTS:,} for a chart", chart, times)
    yield _cpu(peer, f"{of}a window of {_PAGE:,} steps", partial(_window, peer, client, run_id, total), times)
    yield _cpu(peer, f"{of}a page of get-history", partial(_page, peer, client, run_id, total), times)
    yield _cpu(peer, f"{of}all as Arrow", partial(_export, peer, client, run_id, total), 1)
    yield _cpu(peer, f"{of}all as JSON", partial(_export_json, peer, client, run_id, total), 1)
    yield _cpu(peer, f"{of}statistics in {_CELLS} cells", partial(_statistics, peer, client, run_id, total), 1)
    yield Result(f"{of}memory afterwards", peer.name, memory_bytes([peer.group]) / 1e6, "MB")


def _cpu(peer: Peer, row: str, work: Callable[[], None], times: int) -> Result:
    """Return the server's CPU time for one of these works; one before them is not counted when there are several."""
    if times > 1:
        work()
    begun = cpu_s([peer.group])
    for _ in range(times):
        work()
    return Result(row, peer.name, (cpu_s([peer.group]) - begun) / times * 1000, "ms")


def _wait_until_idle(peer: Peer, *, timeout_s: float = 60.0) -> None:
    """Wait until the server's own job has nothing to compact any more, so that its CPU time is the readers'."""
    deadline = time.monotonic() + timeout_s
    begun = cpu_s([peer.group])
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = cpu_s([peer.group])
        if now - begun < 0.05:
            return
        begun = now


def _chart(peer: Peer, client: httpx.Client, run_id: str, total: int) -> None:
    answer = client.get(f"/api/v1/runs/{run_id}/metrics/loss", params={"points": _CHART_POINTS}).json()
    values = np.sin(np.arange(total) / 1000)
    right = (total, total - 1, values.max(), values.min())
    shown = (answer["total"], answer["steps"][-1], max(answer["values"]), min(answer["values"]))
    check(shown == right, peer.name, f"a chart with {shown}, not {right}")


def _window(peer: Peer, client: httpx.Client, run_id: str, total: int) -> None:
    bounds = {"first_step": total // 2, "last_step": total // 2 + _PAGE - 1}
    answer = client.get(f"/api/v1/runs/{run_id}/metrics/loss", params=bounds).json()
    steps = list(range(total // 2, min(total // 2 + _PAGE, total)))
    check(answer["steps"] == steps, peer.name, f"{len(answer['steps'])} points of {len(steps)} steps")


def _page(peer: Peer, client: httpx.Client, run_id: str, total: int) -> None:
    parameters: dict[str, str | int] = {"run_id": run_id, "metric_key": "loss", "max_results": _PAGE}
    answer = client.get("/api/2.0/mlflow/metrics/get-history", params=parameters).json()
    steps = [int(point["step"]) for point in answer["metrics"]]
    check(steps == list(range(min(_PAGE, total))), peer.name, f"a page of {len(steps)} points")


def _export(peer: Peer, client: httpx.Client, run_id: str, total: int) -> None:
    with client.stream("GET", f"/api/v1/runs/{run_id}/metrics/loss", params={"format": "arrow"}) as answer:
        received = sum(len(part) for part in answer.iter_raw())
    check(received >= 24 * total, peer.name, f"{received:,} bytes of {total:,} points")


def _export_json(peer: Peer, client: httpx.Client, run_id: str, total: int) -> None:
    end = b""
    with client.stream("GET", f"/api/v1/runs/{run_id}/metrics/loss") as answer:
        for part in answer.iter_raw():
            end = (end + part)[-100:]
    check(end.endswith(b'"points":%d,"total":%d}' % (total, total)), peer.name, f"an answer that ends {end!r}")


def _statistics(peer: Peer, client: httpx.Client, run_id: str, total: int) -> None:
    question = {"key": "loss", "run_ids": [run_id], "cells": _CELLS}
    [group] = client.post("/api/v1/metrics/statistics", json=question).json()["groups"]
    values = np.sin(np.arange(total) / 1000)
    width = total // _CELLS  # of the first cell
    right = (values[:width].mean(), values.max())
    shown = (group["mean"][0], max(group["max"]))
    check(bool(np.allclose(shown, right)), peer.name, f"statistics {shown}, not {right}")


def _compact(read_model: ReadModel, run_id: str) -> float:
    """Compact the run, whether or not the server's own job is at it, and return the CPU seconds it took here."""
    begun = time.process_time()
    is_done = False
    while not is_done:
        with contextlib.suppress(Overtaken):
            is_done = compact_run(read_model, run_id).is_done
    return time.process_time() - begun


def _trickled(peer_name: str, count: int) -> Iterator[Result]:
    """Give what a run costs whose every point came alone: as many blocks, in a read model that has nothing else."""
    of = f"{count:,} points that came one by one: "
    run_id = run_id_of(_EXPERIMENT, 0)
    with (
        tempfile.TemporaryDirectory(prefix="mltrail-bench-") as folder,
        contextlib.closing(open_read_model(folder)) as read_model,
    ):
        with read_model.writing(read_model.live_generation()) as connection:
            connection.execute(insert(metric_blocks), [_block_of_one(run_id, step) for step in range(count)])
        yield _outlined(peer_name, f"{of}outline of blocks", read_model, run_id, count)
        rate = count / _compact(read_model, run_id)
        yield Result(f"{of}compacted in a CPU second", peer_name, rate, "points", is_rate=True)
        yield _outlined(peer_name, f"{of}outline of chunks", read_model, run_id, count)


def _outlined(peer_name: str, row: str, read_model: ReadModel, run_id: str, count: int) -> Result:
    begun = time.process_time()
    with read_model.reading() as connection:
        found = outline(connection, run_id, "loss", EVERYTHING, _CHART_POINTS)
    took_s = time.process_time() - begun
    check(found.total == count, peer_name, f"{found.total:,} of {count:,} points")
    return Result(row, peer_name, took_s * 1000, "ms")


def _block_of_one(run_id: str, step: int) -> dict[str, object]:
    steps = np.array([step])
    block = MetricBlock(("loss",), np.zeros(1, np.uint32), steps, steps * 1_000_000, np.sin(steps / 1000))
    return {"run_id": run_id, "last_index": step + 1, "number": 0, "point_count": 1, "block": block.to_bytes()}
