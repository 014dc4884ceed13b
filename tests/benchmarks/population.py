"""Many runs at once, appended to the log as records of a trainer: what a server has after months, in minutes.

The records are real and the projector folds them; only the SDK, whose own rows are elsewhere, is passed by.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select

from mltrail_core.events import (
    Event,
    ExperimentCreated,
    ParamLogged,
    RunCreated,
    RunStatusChanged,
    TagSet,
)
from mltrail_core.ids import CONTROL, Partition, new_producer_id, partition_of
from mltrail_core.log import EventLog, NewRecord, open_log
from mltrail_core.metric_block import MetricBlock
from mltrail_core.readmodel.store import open_read_model
from mltrail_core.readmodel.tables import positions
from mltrail_core.record import Actor, Record, freeze_record

_ACTOR = Actor("benchmark", "claimed")
_START_US = 1_700_000_000_000_000
_BYTES_AT_ONCE = 4 << 20


@dataclass(frozen=True, slots=True)
class RunShape:
    """What each run has; every metric has `steps` points."""

    metrics: int
    params: int
    tags: int = 5
    steps: int = 1


class Writer:
    """One producer that appends records to a log: the population's only trainer."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._producer = new_producer_id()
        self._sequences: Counter[Partition] = Counter()
        self._waiting: list[NewRecord] = []
        self._waiting_bytes = 0

    def add(self, partition: Partition, events: Sequence[Event]) -> None:
        """Append a record of these events with the next ones; `flush` sends the last."""
        self._sequences[partition] += 1
        record = Record(partition, self._producer, self._sequences[partition], _ACTOR, tuple(events))
        frozen = freeze_record(record)
        self._waiting.append(NewRecord(partition, frozen))
        self._waiting_bytes += len(frozen)
        if self._waiting_bytes >= _BYTES_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Append what waits."""
        if self._waiting:
            self._log.append(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0


@contextlib.contextmanager
def writing(log_url: str) -> Iterator[Writer]:
    """Give a writer to the log at `log_url`, and append what still waits at the end."""
    with contextlib.closing(open_log(log_url)) as log:
        writer = Writer(log)
        yield writer
        writer.flush()


def wait_until_projected(log_url: str, store_url: str, *, timeout_s: float = 3600.0) -> None:
    """Wait until the read model holds all that the log holds now.

    Raises:
        TimeoutError: it took longer than `timeout_s`.
    """
    with contextlib.closing(open_log(log_url)) as log:
        heads = log.heads()
    deadline = time.monotonic() + timeout_s
    with contextlib.closing(open_read_model(store_url)) as read_model:
        while True:
            with read_model.reading() as connection:
                rows = connection.execute(select(positions.c.partition, positions.c["index"])).all()
            standing = {partition: index for partition, index in rows}
            if all(standing.get(partition, 0) >= index for partition, index in heads.items()):
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"the read model did not catch up with {sum(heads.values()):,} records")
            time.sleep(0.02)


def run_id_of(experiment_id: str, number: int) -> str:
    """Return the id of run `number` of the experiment."""
    return f"{int(experiment_id) % (1 << 64):016x}{number:016x}"


def create_experiment(writer: Writer, experiment_id: str, name: str) -> None:
    """Create an experiment."""
    writer.add(CONTROL, [ExperimentCreated(_START_US, experiment_id, name)])


def create_runs(writer: Writer, experiment_id: str, numbers: range, shape: RunShape) -> None:
    """Create the runs of these numbers, each as one record: what value a key has follows from the run's number."""
    for number in numbers:
        run_id = run_id_of(experiment_id, number)
        writer.add(partition_of(run_id), _events_of_run(run_id, experiment_id, number, shape))


def add_points(writer: Writer, run_id: str, key: str, first_step: int, count: int) -> None:
    """Log `count` points of one key, one step and one second apart, in records of at most 10,000."""
    for begin in range(first_step, first_step + count, 10_000):
        steps = np.arange(begin, min(begin + 10_000, first_step + count), dtype=np.int64)
        block = MetricBlock(
            (key,), np.zeros(len(steps), np.uint32), steps, _START_US + steps * 1_000_000, np.sin(steps / 1000)
        )
        writer.add(partition_of(run_id), [block.to_event(run_id, _START_US)])


def metric_of_run(number: int, key_number: int) -> float:
    """Return the last value of a metric of run `number`: spread evenly over [0, 1), each run at another place."""
    return (number * 7919 + key_number * 104_729) % 1_000_003 / 1_000_003


def _events_of_run(run_id: str, experiment_id: str, number: int, shape: RunShape) -> list[Event]:
    started_us = _START_US + number * 1_000_000
    events: list[Event] = [
        RunCreated(started_us, run_id, experiment_id, f"run {number}", f"user {number % 10}", started_us)
    ]
    events += [
        ParamLogged(started_us, run_id, f"param_{key:03}", f"value {number % (key + 2)}") for key in range(shape.params)
    ]
    events += [TagSet(started_us, run_id, f"tag_{key}", f"text {number % (key * 10 + 2)}") for key in range(shape.tags)]
    events.append(_points_of_run(number, started_us, shape).to_event(run_id, started_us))
    events.append(RunStatusChanged(started_us, run_id, "FINISHED", started_us + 60_000_000))
    return events


def _points_of_run(number: int, started_us: int, shape: RunShape) -> MetricBlock:
    keys = tuple(f"metric_{key:04}" for key in range(shape.metrics))
    steps = np.repeat(np.arange(shape.steps, dtype=np.int64), shape.metrics)
    last = np.array([metric_of_run(number, key) for key in range(shape.metrics)])
    values = np.tile(last, shape.steps) + np.repeat(np.arange(shape.steps - 1, -1, -1, dtype=np.float64), shape.metrics)
    indices = np.tile(np.arange(shape.metrics, dtype=np.uint32), shape.steps)
    return MetricBlock(keys, indices, steps, started_us + steps * 1_000_000, values)
