"""One training in a process of its own, and the wait until the read model has all that it logged."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from mltrail_core.log import open_log
from mltrail_core.readmodel.store import open_read_model
from mltrail_core.readmodel.tables import metric_summaries, positions
from tests.benchmarks.peers import NativePlaces, Peer
from tests.benchmarks.results import check
from tests.benchmarks.trainer import Logged

_ROOT = Path(__file__).parents[2]
_CATCH_UP_S = 600.0
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Work:
    """What a training logs: a shape and a way of `trainer`, for how long, and at which rate (0: as fast as it can)."""

    shape: str
    way: str
    duration_s: float
    rate: float = 0.0


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training logged, and after how long, from its first call, the read model had all of it."""

    logged: Logged
    projected_s: float


def train(peer: Peer, places: NativePlaces, uri: str, work: Work) -> Trained:
    """Run one training against a peer, and return when the read model has every point of it.

    Raises:
        WrongAnswer: the training failed, or the read model has more or fewer points than were logged.
        TimeoutError: the read model did not catch up.
    """
    told = [work.shape, work.way, str(work.duration_s), str(work.rate)]
    command = [sys.executable, "-m", "tests.benchmarks.trainer", uri, *told]
    with contextlib.closing(open_log(places.log_url)) as log:
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=work.duration_s + 400)
        check(done.returncode == 0, peer.name, f"the trainer failed:\n{done.stderr[-2000:]}")
        ended = time.perf_counter()
        logged = Logged(**json.loads(done.stdout))
        heads = log.heads()
    _wait_until_projected(places, sum(heads.values()))
    projected_s = logged.acknowledged_s + time.perf_counter() - ended
    arrived = _points_of(places, logged.run_ids)
    said = done.stderr[-2000:]
    check(arrived == logged.points, peer.name, f"{arrived:,} of {logged.points:,} points arrived; the trainer:\n{said}")
    return Trained(logged, projected_s)


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
