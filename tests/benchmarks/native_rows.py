"""What mltrail's own SDK does: what a call costs the training, and how fast points reach the log and the read model."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

import mltrail
from tests.benchmarks.peers import NativePlaces, Peer
from tests.benchmarks.processes import peak_resident_bytes
from tests.benchmarks.results import Result
from tests.benchmarks.shapes import Sizes
from tests.benchmarks.trainer import SHAPES
from tests.benchmarks.training import Work, train

_CALLS_TIMED_AT_ONCE = 100
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
            trained = train(peer, peer.native, uri, Work(shape, way, sizes.native_s))
            points, acknowledged_s = trained.logged.points, trained.logged.acknowledged_s
            yield Result(f"{row}: to the log", peer.name, points / acknowledged_s, "points/s", is_rate=True)
            yield Result(f"{row}: to the read model", peer.name, points / trained.projected_s, "points/s", is_rate=True)
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
