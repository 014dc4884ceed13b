"""What a call costs the training, through each client; how fast eight trainers reach the log; what a long lag holds."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mltrail_core.events import MetricsLogged
from mltrail_core.ids import PARTITIONS
from mltrail_core.log import open_log
from mltrail_core.metric_block import block_of_event
from mltrail_core.record import decode_record
from tests import servers
from tests.benchmarks.peers import Blueprint, folder_blueprint, mlflow_blueprint
from tests.benchmarks.processes import cpu_s
from tests.benchmarks.results import Result, check
from tests.benchmarks.sdk_client import KEYS, Measured
from tests.benchmarks.shapes import Sizes
from tests.server_process import free_port

HTTP, REDIS, FOLDER, OFFLINE = "mltrail, HTTP", "mltrail, Redis", "mltrail, folder", "mltrail, offline"
MLFLOW, MLFLOW_ASYNC, WANDB, NOTHING = "MLflow", "MLflow, async", "wandb, offline", "nothing"
COLUMNS = (HTTP, REDIS, FOLDER, OFFLINE, MLFLOW, MLFLOW_ASYNC, WANDB, NOTHING)
_ROOT = Path(__file__).parents[2]
_DEADLINE_S = 600.0


@dataclass(frozen=True, slots=True)
class _Route:
    """How points leave through one column: the client, what it is given, and the log where mltrail's arrive."""

    column: str
    client: str
    uri: str
    log_url: str | None = None
    server_group: int | None = None


def measure(sizes: Sizes, columns: Sequence[str]) -> Iterator[Result]:
    """Give the rows of the SDK and of the peers' clients; each client is given a server of its makers."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mltrail-bench-")))
        for route in _routes(folder, columns, stack, is_quick=sizes.is_quick):
            yield from _calls(route, sizes)
            if route.column in (REDIS, HTTP):
                for work, points in (("series", sizes.sdk_series_points), ("calls", sizes.sdk_calls_points)):
                    yield from _together(route, work, points, sizes.sdk_processes)
    if OFFLINE in columns:
        yield _memory_at_lag(sizes)


def _routes(folder: Path, columns: Sequence[str], stack: contextlib.ExitStack, *, is_quick: bool) -> Iterator[_Route]:
    mlflow_url = ""
    for column in columns:
        match column:
            case "mltrail, HTTP":
                blueprint = stack.enter_context(folder_blueprint())
                peer = stack.enter_context(blueprint.running())
                assert blueprint.native is not None
                yield _Route(column, "mltrail", peer.url, blueprint.native.log_url, peer.group)
            case "mltrail, Redis":
                valkey = stack.enter_context(servers.valkey())
                yield _Route(column, "mltrail", valkey.url, valkey.url, valkey.pid)
            case "mltrail, folder":
                yield _Route(column, "mltrail", str(folder / "data"), str(folder / "data" / "log"))
            case "mltrail, offline":
                yield _Route(column, "mltrail-offline", "http://127.0.0.1:9")
            case "MLflow" | "MLflow, async":
                if not mlflow_url:
                    blueprint = stack.enter_context(_mlflow_server(is_quick))
                    mlflow_url = stack.enter_context(blueprint.running()).url
                yield _Route(column, "mlflow" if column == MLFLOW else "mlflow-async", mlflow_url)
            case "wandb, offline":
                if _has_wandb():
                    yield _Route(column, "wandb", str(folder))
                else:
                    print("- wandb is left out: $WANDB_PYTHON names no Python that can import it", flush=True)
            case _:
                yield _Route(column, "nothing", "")


def _mlflow_server(is_quick: bool) -> contextlib.AbstractContextManager[Blueprint]:
    """MLflow's own server takes a minute to start: the quick form lets its client speak to mltrail's."""
    return folder_blueprint() if is_quick else mlflow_blueprint()


def _calls(route: _Route, sizes: Sizes) -> Iterator[Result]:
    """Give the rows of one training that logs as fast as it can, so that the sender is never idle."""
    is_ours = route.column.startswith("mltrail") or route.column == NOTHING
    points = sizes.sdk_calls if is_ours else sizes.sdk_peer_calls
    [measured], _ = _run([(route, "timed", points)])
    _check_arrived(route, [measured])
    row = "one log_metric, the sender busy"
    yield Result(f"{row}: p50", route.column, measured.call_p50_us, "µs")
    yield Result(f"{row}: p99", route.column, measured.call_p99_us, "µs")
    yield Result("CPU of the client, all threads", route.column, measured.cpu_s / points * 1e6, "s per million points")


def _together(route: _Route, work: str, points: int, processes: int) -> Iterator[Result]:
    """Give the rows of trainers that begin at once, until the log has all that they have logged."""
    server_s = 0.0 if route.server_group is None else -cpu_s([route.server_group])
    measured, took_s = _run([(route, work, points // processes)] * processes)
    if route.server_group is not None:
        server_s += cpu_s([route.server_group])
    _check_arrived(route, measured)
    total = sum(one.points for one in measured)
    row = f"{processes} trainers to the log, by {work}"
    yield Result(row, route.column, total / took_s, "points/s", is_rate=True)
    trainers_s = sum(one.cpu_s for one in measured)
    yield Result(f"{row}: CPU of the trainers", route.column, trainers_s / total * 1e6, "s per million points")
    yield Result(f"{row}: CPU of the server", route.column, server_s / total * 1e6, "s per million points")


def _memory_at_lag(sizes: Sizes) -> Result:
    """A training whose server is away from the first call to the last."""
    away = _Route("mltrail, no server", "mltrail-away", f"http://127.0.0.1:{free_port()}")
    [measured], _ = _run([(away, "calls", sizes.sdk_lag_points)])
    row = f"growth of the memory, {sizes.sdk_lag_points:,} points without a server"
    return Result(row, away.column, measured.memory_growth_bytes / 2**20, "MiB")


def _run(works: Sequence[tuple[_Route, str, int]]) -> tuple[list[Measured], float]:
    """Let the trainings begin at the same moment; return what each measured, and how long the last of them took until
    all of its points were durable."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mltrail-bench-", ignore_cleanup_errors=True))
        started = [
            stack.enter_context(_started(route, work, points, Path(folder, str(number))))
            for number, (route, work, points) in enumerate(works)
        ]
        for process, errors in started:
            assert process.stdout is not None
            said = process.stdout.readline()
            check(said == "ready\n", works[0][0].column, f"a training did not begin: {said}\n{errors.read_text()}")
        for process, _ in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        measured = []
        for process, errors in started:
            said, _ = process.communicate(timeout=_DEADLINE_S)
            check(process.returncode == 0, works[0][0].column, f"a training failed:\n{errors.read_text()[-2000:]}")
            measured.append(Measured(**json.loads(said.splitlines()[-1])))
    return measured, max(one.durable_s for one in measured)


@contextlib.contextmanager
def _started(route: _Route, work: str, points: int, folder: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    folder.mkdir()
    python = os.environ["WANDB_PYTHON"] if route.client == "wandb" else sys.executable
    command = [python, "-m", "tests.benchmarks.sdk_client", route.client, route.uri, work, str(points)]
    paths = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    env = {**os.environ, "MLTRAIL_SPOOL": str(folder), "PYTHONPATH": paths, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "errors").open("w") as errors:
        process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            yield process, folder / "errors"
        finally:
            with process:
                process.kill()


def _check_arrived(route: _Route, measured: Sequence[Measured]) -> None:
    """Count the points in the log, or ask MLflow's client; wandb's file is only looked for."""
    if route.log_url is not None:
        wanted = {one.run_id: one.points for one in measured}
        arrived = dict.fromkeys(wanted, 0)
        with contextlib.closing(open_log(route.log_url)) as log:
            for partition in PARTITIONS:
                after = 0
                while entries := log.read(partition, after=after):
                    after = entries[-1].index
                    for entry in entries:
                        for event in decode_record(entry.frozen).events:
                            if isinstance(event, MetricsLogged) and event.run_id in arrived:
                                block = block_of_event(event)
                                warm_up = sum(point.key not in KEYS for point in block.points()[:4])
                                arrived[event.run_id] += len(block) - warm_up
        check(arrived == wanted, route.column, f"{arrived} points arrived of {wanted}")
    elif route.client.startswith("mlflow"):
        _check_mlflow(route, measured[0])
    elif route.client == "wandb":
        found = [file for file in Path(route.uri).rglob("*.wandb") if measured[0].run_id in file.name]
        check(bool(found) and found[0].stat().st_size > 0, route.column, "there is no file with the run")


def _check_mlflow(route: _Route, measured: Measured) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(route.uri, registry_uri=route.uri)
    deadline = time.monotonic() + _DEADLINE_S
    while True:  # its `flush_async_logging` returns before the last batch has been answered
        arrived = sum(len(client.get_metric_history(measured.run_id, key)) for key in KEYS)
        if arrived == measured.points:
            return
        check(time.monotonic() < deadline, route.column, f"{arrived} points arrived of {measured.points}")
        time.sleep(0.1)


def _has_wandb() -> bool:
    python = os.environ.get("WANDB_PYTHON")
    if not python:
        return False
    return subprocess.run([python, "-c", "import wandb"], capture_output=True, timeout=120).returncode == 0
