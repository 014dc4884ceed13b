"""What mltrail's own SDK does: what a call costs the training, and how fast points reach the log and the read model."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from sqlalchemy import func, select

import mltrail
from mltrail_core.log import open_log
from mltrail_core.readmodel.store import open_read_model
from mltrail_core.readmodel.tables import metric_summaries, positions
from tests.benchmarks.peers import NativePlaces, Peer
from tests.benchmarks.processes import peak_resident_bytes
from tests.benchmarks.results import Result, check
from tests.benchmarks.shapes import Sizes
from tests.benchmarks.trainer import SHAPES, Logged

_ROOT = Path(__file__).parents[2]
_CALLS_TIMED_AT_ONCE = 100
_CATCH_UP_S = 600.0
_POLL_S = 0.02
_PROCESSES = ("the API", "the projector")  # in the order in which `mltrail server` starts them


def measure(peer: Peer, sizes: Sizes) -> Iterator[Result]:
    """Give the native rows of one peer; only mltrail has any."""
    if peer.native is None:
        return
    yield _call(peer, peer.native, sizes)
    for shape, way in sizes.native_works:
        for route in sizes.native_routes:
            uri, through = (peer.url, "HTTP") if route == "http" else (peer.native.uri, "the log")
            row = f"{shape} (8 runs × {SHAPES[shape]:,} keys), by {way}, through {through}"
            yield from _throughput(peer, peer.native, uri, row, (shape, way), sizes)
    for process, peak in zip(_PROCESSES, peak_resident_bytes(peer.group), strict=False):
        yield Result(f"memory of {process} at its peak, after all these rows (RSS)", peer.name, peak / 2**20, "MiB")


def _call(peer: Peer, places: NativePlaces, sizes: Sizes) -> Result:
    """Time calls in groups, since one takes about as long as reading the clock."""
    mltrail.init(places.uri)
    times_s = []
    with mltrail.start_run("native rows", "calls") as run:
        for group in range(sizes.calls):
            begun = time.perf_counter()
            for step in range(_CALLS_TIMED_AT_ONCE):
                run.log_metric("loss", 0.5, step=step)
            times_s.append((time.perf_counter() - begun) / _CALLS_TIMED_AT_ONCE)
            time.sleep(0.002 if group % 10 == 0 else 0)  # a training does something else between its steps
    return Result("one call of log_metric, p50", peer.name, median(times_s) * 1e6, "µs")


def _throughput(
    peer: Peer, places: NativePlaces, uri: str, row: str, work: tuple[str, str], sizes: Sizes
) -> Iterator[Result]:
    """Run one training, and wait until the read model has all that it logged."""
    command = [sys.executable, "-m", "tests.benchmarks.trainer", uri, *work, str(sizes.native_s)]
    with contextlib.closing(open_log(places.log_url)) as log:
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=sizes.native_s + 400)
        check(done.returncode == 0, peer.name, f"the trainer failed:\n{done.stderr[-2000:]}")
        ended = time.perf_counter()
        logged = Logged(**json.loads(done.stdout))
        heads = log.heads()
    _wait_until_projected(places, sum(heads.values()))
    projected_s = logged.acknowledged_s + time.perf_counter() - ended
    arrived = _points_of(places, logged.run_ids)
    said = done.stderr[-2000:]
    check(arrived == logged.points, peer.name, f"{arrived:,} of {logged.points:,} points arrived; the trainer:\n{said}")
    yield Result(f"{row}: to the log", peer.name, logged.points / logged.acknowledged_s, "points/s", is_rate=True)
    yield Result(f"{row}: to the read model", peer.name, logged.points / projected_s, "points/s", is_rate=True)


def _wait_until_projected(places: NativePlaces, records: int) -> None:
    deadline = time.monotonic() + _CATCH_UP_S
    with contextlib.closing(open_read_model(places.store_url)) as read_model:
        while True:
            with read_model.reading() as connection:
                if sum(connection.execute(select(positions.c["index"])).scalars()) >= records:
                    return
            if time.monotonic() > deadline:
                raise TimeoutError(f"the read model did not catch up within {_CATCH_UP_S:g} s")
            time.sleep(_POLL_S)


def _points_of(places: NativePlaces, run_ids: list[str]) -> int:
    """Return how many points of the trainer's own keys the runs have; the SDK logs some of the machine beside them."""
    of_runs = metric_summaries.c.run_id.in_(run_ids) & metric_summaries.c.key.startswith("metric_")
    query = select(func.sum(metric_summaries.c.logged_points)).where(of_runs)
    with contextlib.closing(open_read_model(places.store_url)) as read_model, read_model.reading() as connection:
        return int(connection.execute(query).scalar() or 0)
