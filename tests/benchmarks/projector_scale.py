"""How much faster two projector processes are than one, on PostgreSQL: python -m tests.benchmarks.projector_scale.

The log holds records of one point each, as MLflow's log-metric brings them, of runs in all partitions. Projectors are
started, wait until all of them are ready, and share the partitions.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from sqlalchemy import func, select

from mltrail_core.events import Event, RunCreated
from mltrail_core.ids import Partition, ProducerId, partition_of
from mltrail_core.log import EventLog, NewRecord, open_log
from mltrail_core.metric_block import MetricPoint, event_of_points
from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_core.readmodel.tables import metric_summaries
from mltrail_core.record import Actor, Record, freeze_record
from tests import servers
from tests.benchmarks.processes import cpu_s
from tests.benchmarks.results import Result, check, table

_RUNS = 64
_ROOT = Path(__file__).parents[2]
_POLL_S = 0.02
_TIMEOUT_S = 600.0


def measure(records: int, projectors: Sequence[int]) -> Iterator[Result]:
    """Give the rate, and the CPU time of the projectors, for each number of projector processes."""
    with TemporaryDirectory() as folder, servers.postgres(None, fsync=True) as postgres:
        log = open_log(folder)
        with contextlib.closing(log):
            _fill(log, records)
            for count in projectors:
                yield from _project(log, postgres.url, records, count)


def _project(log: EventLog, url: str, records: int, count: int) -> Iterator[Result]:
    database = f"scale_{count}"
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}".encode())
    store_url = f"{url.rpartition('/')[0]}/{database}"
    with contextlib.closing(open_read_model(store_url)) as read_model, contextlib.ExitStack() as ending:
        command = [sys.executable, "-m", "tests.projector.lone_projector", log.url, store_url, "--wait"]
        started = [_started(command, ending) for _ in range(count)]
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        spent_s, begun = cpu_s(process.pid for process in started), time.perf_counter()
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        _wait_for(read_model, records)
        took_s = time.perf_counter() - begun
        spent_s = cpu_s(process.pid for process in started) - spent_s
    peer = f"{count} projector{'s'[: count - 1]}"
    yield Result("records of one point", peer, records / took_s, "records/s", is_rate=True)
    yield Result("CPU of the projectors", peer, spent_s / records * 1e6, "µs/record")


def _started(command: list[str], ending: contextlib.ExitStack) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    ending.enter_context(process)
    ending.callback(process.kill)
    return process


def _wait_for(read_model: ReadModel, points: int) -> None:
    query = select(func.coalesce(func.sum(metric_summaries.c.logged_points), 0))
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        with read_model.reading() as connection:
            found = int(connection.execute(query).scalar_one())
        if found >= points:
            check(found == points, "projectors", f"{found:,} points were projected of {points:,}: some of them twice")
            return
        check(time.monotonic() < deadline, "projectors", f"{found:,} of {points:,} points within {_TIMEOUT_S:g} s")
        time.sleep(_POLL_S)


def _fill(log: EventLog, records: int) -> None:
    sequences: dict[Partition, int] = {}
    run_ids = [f"{number:032x}" for number in range(_RUNS)]
    sent = [_record(sequences, run_id, RunCreated(1, run_id, "0", "name", "ann", 1)) for run_id in run_ids]
    for number in range(records):
        run_id, point = run_ids[number % _RUNS], MetricPoint("loss", number / 7, number // _RUNS, number)
        sent.append(_record(sequences, run_id, event_of_points(run_id, number, [point])))
        if len(sent) >= 5_000:
            log.append(sent)
            sent = []
    if sent:
        log.append(sent)


def _record(sequences: dict[Partition, int], run_id: str, event: Event) -> NewRecord:
    partition = partition_of(run_id)
    sequences[partition] = sequences.get(partition, 0) + 1
    record = Record(partition, ProducerId("bench"), sequences[partition], Actor("ann"), (event,))
    return NewRecord(partition, freeze_record(record))


def main(arguments: Sequence[str]) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.projector_scale", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="check that it runs and that answers are right")
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--projectors", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args(arguments)
    print(table(list(measure(300 if options.quick else options.records, options.projectors))))


if __name__ == "__main__":
    main(sys.argv[1:])
