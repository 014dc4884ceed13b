"""Whether the read model keeps up with trainers that log at a given rate for long: how far it is behind the log, in
the first half of that time and in the second."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median

from sqlalchemy import select

from mltrail_core.ids import Partition
from mltrail_core.log import Positions, open_log
from mltrail_core.readmodel.store import open_read_model
from mltrail_core.readmodel.tables import positions
from tests.benchmarks.peers import NativePlaces, Peer
from tests.benchmarks.processes import cpu_s
from tests.benchmarks.results import Result, check
from tests.benchmarks.shapes import Sizes
from tests.benchmarks.trainer import SHAPES
from tests.benchmarks.training import Work, train

_LOOK_EVERY_S = 0.005
_CATCH_UP_S = 600.0


def measure(peer: Peer, sizes: Sizes) -> Iterator[Result]:
    """Give the rows of one peer, whose trainers write to the log themselves; only mltrail has any."""
    if peer.native is None:
        return
    for shape, way, rate in sizes.paced_works:
        row = f"{rate:,} points/s for {sizes.native_s:g} s, {shape} (8 runs × {SHAPES[shape]:,} keys), by {way}"
        used_s = cpu_s([peer.group])
        with _watched(peer.native) as watch:
            trained = train(peer, peer.native, peer.native.uri, Work(shape, way, sizes.native_s, rate))
        used_s = cpu_s([peer.group]) - used_s
        logged = trained.logged
        yield Result(f"{row}: logged", peer.name, logged.points / logged.calls_s, "points/s", is_rate=True)
        yield Result(f"{row}: until all was durable", peer.name, logged.acknowledged_s, "s")
        yield Result(f"{row}: until all was in the read model", peer.name, trained.projected_s, "s")
        yield from watch.results(row, peer)
        yield Result(f"{row}: CPU of the server", peer.name, used_s / logged.points * 1e6, "s per million points")


@dataclass(slots=True)
class _Watch:
    """What was seen of the lag: when a head of the log was seen, and after how many seconds the read model had it."""

    lags: list[tuple[float, float]] = field(default_factory=list)

    def results(self, row: str, peer: Peer) -> Iterator[Result]:
        """Give the median of each half, and the worst lags of all the time."""
        check(len(self.lags) >= 2, peer.name, f"{row}: the log was seen to grow {len(self.lags)} times")
        middle = (self.lags[0][0] + self.lags[-1][0]) / 2
        halves = {
            "first": [lag_s for seen, lag_s in self.lags if seen < middle],
            "second": [lag_s for seen, lag_s in self.lags if seen >= middle],
        }
        for half, lags_s in halves.items():
            yield Result(f"{row}: lag in the {half} half, p50", peer.name, median(lags_s) * 1000, "ms")
        in_order = sorted(lag_s for _, lag_s in self.lags)
        yield Result(f"{row}: lag, p99", peer.name, in_order[int(len(in_order) * 0.99)] * 1000, "ms")
        yield Result(f"{row}: lag, longest", peer.name, in_order[-1] * 1000, "ms")


@contextlib.contextmanager
def _watched(places: NativePlaces) -> Iterator[_Watch]:
    """Look at log and read model from now on, and on leaving until the read model has what was seen of the log."""
    watch, over = _Watch(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(_look, places, watch, over)
        try:
            yield watch
        finally:
            over.set()
        looking.result()


def _look(places: NativePlaces, watch: _Watch, over: threading.Event) -> None:
    deadline = None
    waiting: deque[tuple[float, Positions]] = deque()
    with (
        contextlib.closing(open_log(places.log_url)) as log,
        contextlib.closing(open_read_model(places.store_url)) as read_model,
    ):
        last = log.heads()
        while waiting or not over.is_set():
            heads = log.heads()
            if heads != last:
                waiting.append((time.monotonic(), heads))
                last = heads
            with read_model.reading() as connection:
                rows = connection.execute(select(positions.c.partition, positions.c["index"])).all()
            projected = {Partition(partition): index for partition, index in rows}
            now = time.monotonic()
            while waiting and all(projected.get(place, 0) >= head for place, head in waiting[0][1].items()):
                seen, _ = waiting.popleft()
                watch.lags.append((seen, now - seen))
            if over.is_set():
                deadline = deadline or now + _CATCH_UP_S
                if now > deadline:
                    raise TimeoutError(f"the read model did not catch up within {_CATCH_UP_S:g} s")
            time.sleep(_LOOK_EVERY_S)
