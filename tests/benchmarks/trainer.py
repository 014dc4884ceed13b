"""A program that trains nothing and logs as fast as the SDK takes it, or at a given rate; prints JSON.

python -m tests.benchmarks.trainer URI SHAPE WAY SECONDS RATE
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

import mltrail
from tests.benchmarks.shapes import metric_value

RUNS = 8
SHAPES = {"narrow": 10, "wide": 1_500}
"""Keys of each of the runs."""
_SERIES_POINTS = {"narrow": 1_000, "wide": 100}
"""Points of each `log_series`."""
_LEAST_REST_S = 0.001


@dataclass(frozen=True, slots=True)
class Logged:
    """What the program logged, how long the calls took it, and after how long all was acknowledged."""

    points: int
    calls_s: float
    acknowledged_s: float
    run_ids: list[str]


def train(uri: str, shape: str, way: str, duration_s: float, rate: float) -> Logged:
    """Log for about `duration_s`, by single calls or by series, and wait until all is acknowledged.

    Args:
        rate: points a second; 0 is as fast as the SDK takes them.
    """
    keys = [f"metric_{number:04}" for number in range(SHAPES[shape])]
    mltrail.init(uri, block_timeout_s=60, exit_timeout_s=60)
    runs = [mltrail.start_run("native rows", f"{shape} {number}") for number in range(RUNS)]
    log: Callable[[list[mltrail.Run], list[str], int], int] = _by_series if way == "series" else _by_calls
    begun = time.perf_counter()
    round_, points = 0, 0
    while time.perf_counter() - begun < duration_s:
        points += log(runs, keys, round_)
        round_ += 1
        ahead_s = points / rate - (time.perf_counter() - begun) if rate else 0.0
        if ahead_s > _LEAST_REST_S:
            time.sleep(ahead_s)
    calls_s = time.perf_counter() - begun
    if not mltrail.flush(timeout_s=300):
        raise TimeoutError("not all was acknowledged within 300 s")
    acknowledged_s = time.perf_counter() - begun
    for run in runs:
        run.end()
    return Logged(points, calls_s, acknowledged_s, [run.id for run in runs])


def _by_calls(runs: list[mltrail.Run], keys: list[str], step: int) -> int:
    """Log one step: a call for each point, in the wide shape one for all keys."""
    value = metric_value(step)
    for run in runs:
        if len(keys) > 100:
            run.log_metrics(dict.fromkeys(keys, value), step=step)
        else:
            for key in keys:
                run.log_metric(key, value, step=step)
    return len(runs) * len(keys)


def _by_series(runs: list[mltrail.Run], keys: list[str], round_: int) -> int:
    count = _SERIES_POINTS["wide" if len(keys) > 100 else "narrow"]
    steps = np.arange(round_ * count, (round_ + 1) * count)
    values = np.sin(steps)
    for run in runs:
        for key in keys:
            run.log_series(key, steps, values)
    return len(runs) * len(keys) * count


if __name__ == "__main__":
    print(json.dumps(asdict(train(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), float(sys.argv[5])))))
