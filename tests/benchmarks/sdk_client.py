"""A training that logs through one client, timed call by call; started by `sdk_rows`, which it tells JSON.

python -m tests.benchmarks.sdk_client CLIENT URI WORK POINTS

It says `ready` once its run has begun, and logs when it is sent a line. Only what the client needs is imported: the
environment of a peer has nothing else.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

KEYS = tuple(f"metric_{number:04}" for number in range(10))
SERIES_POINTS = 1_000
_WARM_UP_STEPS = 2
_PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What the calls cost; times of single calls are 0 where they were not taken."""

    run_id: str
    points: int
    call_p50_us: float
    call_p99_us: float
    durable_s: float
    """From the first call until all was durable on the other side, or on the disk for a client that is offline."""
    cpu_s: float
    """Of all threads and child processes, from the first call to the end of the run."""
    memory_growth_bytes: int
    """The peak of the resident memory, less what was resident before the first call."""


class Client(Protocol):
    """One way to log, in this process; its run has begun."""

    run_id: str

    def log(self, key: str, value: float, step: int) -> object:
        """Log one point."""

    def settle(self) -> None:
        """Return once all is durable where this client sends it."""

    def end(self) -> None:
        """End the run."""


class Nothing:
    """What the loop itself costs."""

    run_id = ""

    def __init__(self, uri: str) -> None:
        pass

    def log(self, key: str, value: float, step: int) -> None:
        pass

    def settle(self) -> None:
        pass

    def end(self) -> None:
        pass


class Mltrail:
    """mltrail's SDK; `is_offline`: into the spool alone."""

    def __init__(self, uri: str, *, is_offline: bool = False, exit_timeout_s: float = 60.0) -> None:
        import mltrail

        mltrail.init(
            uri,
            offline=is_offline,
            block_timeout_s=60.0,
            exit_timeout_s=exit_timeout_s,
            system_metrics_interval_s=0,
            record_code=False,
            record_environment=False,
        )
        self._run = mltrail.start_run("sdk rows", "calls")
        self.run_id = self._run.id
        self.log = self._run.log_metric
        self.log_series = self._run.log_series

    def settle(self) -> None:
        if not self._run.flush(timeout_s=_PATIENCE_S):
            raise TimeoutError(f"not all was acknowledged within {_PATIENCE_S:g} s")

    def end(self) -> None:
        self._run.end()


class Mlflow:
    """The stock client's fluent API."""

    def __init__(self, uri: str, *, is_async: bool = False) -> None:
        import mlflow

        mlflow.set_tracking_uri(uri)
        if is_async:
            mlflow.config.enable_async_logging()  # type: ignore[no-untyped-call]
        self.run_id = mlflow.start_run().info.run_id
        self._mlflow = mlflow
        self._is_async = is_async

    def log(self, key: str, value: float, step: int) -> None:
        self._mlflow.log_metric(key, value, step=step)

    def settle(self) -> None:
        if self._is_async:
            self._mlflow.flush_async_logging()

    def end(self) -> None:
        self._mlflow.end_run()


class Wandb:
    """Weights & Biases, offline: into a file."""

    def __init__(self, uri: str) -> None:
        wandb: Any = importlib.import_module("wandb")  # in an environment of its own, where nobody checks types
        self._run = wandb.init(mode="offline", dir=uri, project="sdk-rows", settings=wandb.Settings(silent=True))
        self.run_id = self._run.id

    def log(self, key: str, value: float, step: int) -> None:
        self._run.log({key: value}, step=step)

    def settle(self) -> None:
        pass  # it has no such call: `end` waits for its other process

    def end(self) -> None:
        self._run.finish()


CLIENTS: dict[str, Callable[[str], Client]] = {
    "nothing": Nothing,
    "mltrail": Mltrail,
    "mltrail-offline": lambda uri: Mltrail(uri, is_offline=True),
    "mltrail-away": lambda uri: Mltrail(uri, exit_timeout_s=0.5),
    "mlflow": Mlflow,
    "mlflow-async": lambda uri: Mlflow(uri, is_async=True),
    "wandb": Wandb,
}


def main(name: str, uri: str, work: str, points: int) -> Measured:
    """Log that many points, as `work` says: `timed` call by call, `calls` without looking at the clock, `series`."""
    client = CLIENTS[name](uri)
    for step in range(_WARM_UP_STEPS):
        client.log("warm up", 0.0, step)
    settle = client.settle if name != "mltrail-away" else lambda: None
    settle()
    print("ready", flush=True)
    sys.stdin.readline()
    times_ns = array("q")
    before_bytes = _memory_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # lets the peak begin here
    cpu_s, begun = _cpu_s(), time.perf_counter()
    if work == "timed":
        times_ns = _timed(client.log, points)
    elif work == "calls":
        for step in range(_WARM_UP_STEPS, _WARM_UP_STEPS + points // len(KEYS)):
            for key in KEYS:
                client.log(key, step / 2, step)
    else:
        _series(client, points)
    settle()
    durable_s = time.perf_counter() - begun
    growth_bytes = _memory_bytes("VmHWM") - before_bytes
    client.end()
    cpu_s = _cpu_s() - cpu_s
    ordered = sorted(times_ns) or [0]
    p50_us, p99_us = ordered[len(ordered) // 2] / 1000, ordered[len(ordered) * 99 // 100] / 1000
    return Measured(client.run_id, points, p50_us, p99_us, durable_s, cpu_s, growth_bytes)


def _timed(log: Callable[[str, float, int], object], points: int) -> array[int]:
    clock = time.perf_counter_ns
    times_ns = array("q", bytes(8 * points))
    for number in range(points):
        key, step = KEYS[number % len(KEYS)], _WARM_UP_STEPS + number // len(KEYS)
        begun = clock()
        log(key, 0.5, step)
        times_ns[number] = clock() - begun
    return times_ns


def _series(client: Client, points: int) -> None:
    import numpy as np

    assert isinstance(client, Mltrail), "only mltrail logs series"
    for first in range(0, points // len(KEYS), SERIES_POINTS):
        steps = np.arange(first, first + SERIES_POINTS)
        values = np.sin(steps)
        for key in KEYS:
            client.log_series(key, steps, values)


def _cpu_s() -> float:
    """Return the CPU time of this process and of what it has started, ended or not."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
    ticks_per_s, me = os.sysconf("SC_CLK_TCK"), os.getpid()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended between the two looks
        if int(fields[1]) == me:
            used_s += (int(fields[11]) + int(fields[12])) / ticks_per_s
    return used_s


def _memory_bytes(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise ValueError(f"/proc/self/status has no {name}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="mltrail-bench-spool-") as spool:
        os.environ.setdefault("MLTRAIL_SPOOL", spool)
        measured = main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
        print(json.dumps(asdict(measured)))
