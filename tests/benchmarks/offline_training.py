"""What a training costs whose server is down from its first call to its last, and whether all arrives afterwards.

`python -m tests.benchmarks.offline_training` prints how long calls take and how much CPU the SDK needs. A busy machine
holds any call up, so of each it is also known what its thread computed, whether it gave the CPU back to wait (for a
lock, the disk, the interpreter: a voluntary switch), how long it was ready to run and not let (`schedstat` of
Linux), and how long the interpreter looked for garbage meanwhile, in whichever thread, which is told apart: that walks
all objects of the process, most of which are the benchmark's own. Calls that do without mltrail stand beside, before it
was started and meanwhile. It fails when a call took longer than 5 ms by itself; those that did because the machine was
busy are shown.
`--quick` checks only that all arrives.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import func, select

import mltrail
from mltrail_core.log import open_log
from mltrail_core.readmodel import tables
from mltrail_core.readmodel.store import open_read_model
from tests.acceptance.stack import COMMAND, MltrailServer, projected, wait_for
from tests.benchmarks.call_times import LIMIT_MS, CallTimes, Clock, LongCall
from tests.benchmarks.results import check
from tests.benchmarks.shapes import metric_value
from tests.server_process import free_port

TRAIN_S, QUICK_S = 30.0, 0.3
_KEYS = tuple(f"metric_{number:02}" for number in range(10))
_STEP_S = 0.001
"""What a step of the training takes without its logging."""
_RARE_STEPS = 100
"""So often a step logs a series, a param, a tag and an artifact too."""
_SERIES_POINTS = 1_000
_ARTIFACT_BYTES = 100_000
_LOOP = 2_000
"""Turns of a loop that take about as long as the calls beside it: a pause meets what takes long more often."""
_EXIT_TIMEOUT_S = 0.5
_ARRIVAL_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Trained:
    """What the training did, and what it cost."""

    run_id: str
    steps: int
    points: int
    texts: int
    artifacts: int
    took_s: float
    sdk_cpu_s: float
    """Of all threads, less what the same training needs without logging."""
    calls: list[CallTimes]
    long_calls: list[LongCall]
    """Of the SDK, but for the end of the run, which may wait for its server."""


def main(arguments: Sequence[str]) -> None:
    """Train without a server, then start one, send what was spooled, and compare.

    Raises:
        SystemExit: a call took too long by itself.
        WrongAnswer: not all has arrived.
        ServerFailed: the server did not start.
    """
    options = _parser().parse_args(arguments)
    if options.train is not None:
        print(json.dumps(asdict(_train(options.train, options.seconds, Path.cwd()))))
        return
    seconds = QUICK_S if options.quick else options.seconds
    with tempfile.TemporaryDirectory(prefix="mltrail-offline-") as name:
        folder = Path(name)
        server = MltrailServer(folder, "all", ["--data", str(folder / "data")], {}, free_port())
        trained = _trained(server.url, seconds, folder)
        _send_and_check(server, trained, folder)
    print(_report(trained))
    if not options.quick and any(call.own_ms > LIMIT_MS for call in trained.long_calls):
        raise SystemExit(1)


def _trained(url: str, seconds: float, folder: Path) -> Trained:
    """Train in a process of its own, whose CPU time is nobody else's."""
    command = [sys.executable, "-m", "tests.benchmarks.offline_training", "--train", url, "--seconds", str(seconds)]
    root = str(Path(__file__).parents[2])
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    env = {**os.environ, "MLTRAIL_SPOOL": str(folder / "spool"), "PYTHONPATH": paths}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=4 * seconds + 120)
    check(done.returncode == 0, "mltrail", f"the training failed:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout)
    calls = [CallTimes(**kind) for kind in found["calls"]]
    return Trained(**{**found, "calls": calls, "long_calls": [LongCall(**call) for call in found["long_calls"]]})


def _send_and_check(server: MltrailServer, trained: Trained, folder: Path) -> None:
    try:
        server.start()
        done = subprocess.run([*COMMAND, "sync", str(folder / "spool")], capture_output=True, text=True, timeout=300)
        check(done.returncode == 0, "mltrail", f"mltrail sync failed:\n{done.stdout}{done.stderr}")
        data = folder / "data"
        with closing(open_log(str(data / "log"))) as log, closing(open_read_model(str(data / "read"))) as read_model:
            heads = sum(log.heads().values())
            wait_for(lambda: projected(read_model) >= heads, _ARRIVAL_TIMEOUT_S, "all is projected")
            with read_model.reading() as connection:
                of_run = tables.metric_summaries.c.run_id == trained.run_id
                points = connection.execute(select(func.sum(tables.metric_summaries.c.logged_points)).where(of_run))
                arrived = {"points": int(points.scalar() or 0)}
                for table, column in ((tables.params, "run_id"), (tables.tags, "run_id"), (tables.artifacts, "owner")):
                    name = table.c.path if table is tables.artifacts else table.c.key
                    query = select(func.count()).where(table.c[column] == trained.run_id, name.startswith("rare"))
                    arrived[table.name] = int(connection.execute(query).scalar() or 0)
                run = tables.runs.c.run_id == trained.run_id
                status = connection.execute(select(tables.runs.c.status).where(run)).scalar()
    finally:
        server.stop()
    wanted = {"points": trained.points, "params": trained.texts, "tags": trained.texts, "artifacts": trained.artifacts}
    check(arrived == wanted, "mltrail", f"{arrived} arrived of {wanted}")
    check(status == "FINISHED", "mltrail", f"the run is {status}")


def _train(url: str, seconds: float, folder: Path) -> Trained:
    """Log for about so long, first to nobody at all, which says what the rest costs."""
    file = folder / "rare.bin"
    file.write_bytes(b"w" * _ARTIFACT_BYTES)
    nothing = Clock()
    cpu_s = time.process_time()
    steps = _steps(seconds / 5, lambda step: _log_nothing(step, nothing, file))
    control_s = (time.process_time() - cpu_s - nothing.own_cpu_s) / steps
    clock = Clock()
    mltrail.init(
        url, exit_timeout_s=_EXIT_TIMEOUT_S, record_environment=False, record_code=False, system_metrics_interval_s=0
    )
    cpu_s, begun = time.process_time() - nothing.own_cpu_s, time.monotonic()
    run = clock.time("start_run", lambda: mltrail.start_run("offline", "training"))
    steps = _steps(seconds, lambda step: _log(run, step, clock, file, nothing))
    took_s = time.monotonic() - begun
    long_calls = clock.long_calls()
    clock.time(f"end, for {_EXIT_TIMEOUT_S:g} s by its exit_timeout_s", run.end)
    clocks_s = nothing.own_cpu_s + clock.own_cpu_s
    sdk_cpu_s = time.process_time() - cpu_s - clocks_s - control_s * steps
    rare = -(-steps // _RARE_STEPS)
    points = steps * (1 + len(_KEYS)) + rare * _SERIES_POINTS
    calls = [*clock.calls(), *nothing.calls()]
    return Trained(run.id, steps, points, rare, rare, took_s, sdk_cpu_s, calls, long_calls)


def _steps(seconds: float, log: Callable[[int], object]) -> int:
    """Return how many steps the training did."""
    deadline, step = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        time.sleep(_STEP_S)
        log(step)
        step += 1
    return step


def _log(run: mltrail.Run, step: int, clock: Clock, file: Path, nothing: Clock) -> None:
    value = metric_value(step)
    _log_nothing(step, nothing, file, "meanwhile")
    clock.time("log_metric", lambda: run.log_metric("loss", value, step=step))
    clock.time("log_metrics, 10 keys", lambda: run.log_metrics(dict.fromkeys(_KEYS, value), step=step))
    if step % _RARE_STEPS == 0:
        steps = range(step * _SERIES_POINTS, (step + 1) * _SERIES_POINTS)
        clock.time("log_series, 1,000 points", lambda: run.log_series("series", steps, steps))
        clock.time("log_param", lambda: run.log_param(f"rare {step}", value))
        clock.time("set_tag", lambda: run.set_tag(f"rare {step}", value))
        clock.time("log_artifact, 100 KB", lambda: run.log_artifact(file, f"rare/{step}"))


def _log_nothing(step: int, clock: Clock, file: Path, when: str = "before") -> None:
    clock.time(f"{when}: nothing", lambda: None)
    clock.time(f"{when}: {_LOOP:,} turns of a loop", _turn)
    if step % _RARE_STEPS == 0:
        clock.time(f"{when}: copying 100 KB", lambda: shutil.copyfile(file, file.with_suffix(f".{step}")))


def _turn() -> None:
    for _ in range(_LOOP):
        pass


def _report(trained: Trained) -> str:
    lines = [
        f"{trained.steps:,} steps of a training in {trained.took_s:.1f} s without a server, then all has arrived: "
        f"{trained.points:,} points, {trained.texts} params, {trained.texts} tags, {trained.artifacts} artifacts.",
        f"The SDK needed {trained.sdk_cpu_s:.2f} s of CPU in all threads, {trained.sdk_cpu_s / trained.took_s:.1%} "
        f"of a core; {trained.sdk_cpu_s / trained.points * 1e6:.1f} s per million points.",
        "",
        f"| call | times | p50 µs | p99 µs | p99.9 µs | longest ms | over {LIMIT_MS:g} ms | waited "
        f"| longest by itself ms: CPU + waiting | over {LIMIT_MS:g} ms by itself | collecting garbage, longest ms |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {one.kind} | {one.count:,} | {one.p50_us:.1f} | {one.p99_us:.1f} | {one.p999_us:.1f} "
        f"| {one.longest_ms:.2f} | {one.over_limit} | {one.waited:,} "
        f"| {one.longest_own_ms:.2f}: {one.its_cpu_ms:.2f} + {one.its_waiting_ms:.2f} | {one.over_limit_own} "
        f"| {one.longest_collection_ms:.2f} |"
        for one in trained.calls
    ]
    by_themselves = sum(call.own_ms > LIMIT_MS for call in trained.long_calls)
    lines += [
        "",
        f"{len(trained.long_calls)} calls before the end took longer than {LIMIT_MS:g} ms, "
        f"{by_themselves} by themselves.",
        *map(str, sorted(trained.long_calls, key=lambda call: -call.own_ms)),
    ]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.offline_training", description=__doc__)
    parser.add_argument("--seconds", type=float, default=TRAIN_S, help="of the training")
    parser.add_argument("--quick", action="store_true", help="check only that all arrives")
    parser.add_argument("--train", metavar="URL", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
