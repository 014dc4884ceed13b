"""Trainers that send known sequences, faults at random moments, and the comparison with what must have arrived."""

from __future__ import annotations

import contextlib
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sqlalchemy import select

from mltrail_core.intervals import parse_intervals
from mltrail_core.log import EventLog
from mltrail_core.readmodel import tables
from mltrail_core.readmodel.store import ReadModel
from mltrail_core.series import logged_points
from tests import preloaded
from tests.acceptance.stack import Stack, projected, wait_for
from tests.acceptance.trainer import KEYS, value_of

IS_FULL = os.environ.get("MLTRAIL_TEST_FAULTS") == "full"
"""Whether the tests take the form that tests/README.md names; by default the suite has a shorter one."""
TRAINERS = 8 if IS_FULL else 4
POINTS = 25_000 if IS_FULL else 4_500
"""Of each trainer: in the full form 8 trainers send 200,000 (rounded down to whole steps)."""
ROUNDS = 80 if IS_FULL else 30
ARRIVAL_TIMEOUT_S = 120.0
STEPS = POINTS // len(KEYS) // ROUNDS * ROUNDS


@dataclass(frozen=True, slots=True)
class Trainer:
    """A running training; what it says goes to files, so that nobody has to read for it to go on."""

    process: preloaded.Process
    out: IO[str]
    err: IO[str]


@contextlib.contextmanager
def training(uri: str) -> Iterator[list[Trainer]]:
    """Start the trainers; end those that still run when the test fails."""
    trainers = []
    with contextlib.ExitStack() as running:
        for number in range(TRAINERS):
            out = running.enter_context(tempfile.TemporaryFile("w+"))
            err = running.enter_context(tempfile.TemporaryFile("w+"))
            words = ["tests.acceptance.trainer", uri, str(number), str(POINTS), str(ROUNDS)]
            process = preloaded.start(
                preloaded.MLTRAIL, words, folder=Path.cwd(), env=os.environ, stdout=out.fileno(), stderr=err.fileno()
            )
            running.callback(process.wait)
            running.callback(process.kill)
            trainers.append(Trainer(process, out, err))
        yield trainers


def disturb(fault: Callable[[], None], times: int) -> None:
    """Cause the fault at random moments; in the short form a quarter of the times."""
    for _ in range(times if IS_FULL else max(1, times // 4)):
        time.sleep(random.uniform(0.05, 0.6))
        fault()


def is_idle(trainers: list[Trainer], log: EventLog, read_model: ReadModel) -> bool:
    """Return whether nothing is left to do: everybody has trained, everything is projected."""
    has_trained = all(trainer.process.poll() is not None for trainer in trainers)
    return has_trained and projected(read_model) == sum(log.heads().values())


def run_ids(trainers: list[Trainer]) -> list[str]:
    """Wait for all trainers, and return the ids of their runs, in the order of their names."""
    ids = []
    for trainer in trainers:
        status = trainer.process.wait(300)
        trainer.out.seek(0)
        trainer.err.seek(0)
        assert status == 0, f"a trainer ended with {status}:\n{trainer.err.read()}"
        ids.append(trainer.out.read().split()[-1])
    return ids


def missing_of(read_model: ReadModel, run_id: str) -> list[str]:
    """Return what is not complete about the run's producers; [] when each is 1..N with none missing."""
    with read_model.reading() as connection:
        rows = connection.execute(
            select(tables.producers.c.producer, tables.producers.c.intervals, tables.producers.c.last_sequence).where(
                tables.producers.c.run_id == run_id
            )
        ).all()
    faults = [] if rows else ["no producer"]
    for producer, intervals, last in rows:
        if last is None:
            faults.append(f"{producer}: end unknown, received {intervals}")
        elif missing := str(parse_intervals(intervals).missing(last)):
            faults.append(f"{producer}: missing {missing} of 1-{last}")
    return faults


def assert_exactly_what_was_sent(read_model: ReadModel, ids: list[str]) -> None:
    """Compare every point of every run with what its trainer is known to have logged."""
    for number, run_id in enumerate(ids):
        with read_model.reading() as connection:
            logged = [point for key, part in logged_points(connection, run_id) for point in part.points(key)]
            run = connection.execute(select(tables.runs.c.status).where(tables.runs.c.run_id == run_id)).scalar_one()
            rejected = connection.execute(
                select(tables.rejections.c.message).where(tables.rejections.c.subject == run_id)
            ).all()
        assert run == "FINISHED"
        assert rejected == []
        for key in KEYS:
            series = [point for point in logged if point.key == key]
            assert [point.step for point in series] == list(range(STEPS)), f"{run_id} {key}"
            assert [point.value for point in series] == [value_of(str(number), key, step) for step in range(STEPS)]


def assert_all_arrived(stack: Stack, ids: list[str]) -> None:
    with stack.opened() as (log, read_model):
        wait_for(
            lambda: not any(missing_of(read_model, run_id) for run_id in ids),
            ARRIVAL_TIMEOUT_S,
            f"received 1..N, missing none ({[missing_of(read_model, run_id) for run_id in ids]})",
        )
        wait_for(lambda: _stands_at_head(log.heads(), read_model), ARRIVAL_TIMEOUT_S, "everything is projected")
        assert_exactly_what_was_sent(read_model, ids)


def _stands_at_head(heads: object, read_model: ReadModel) -> bool:
    with read_model.reading() as connection:
        found = connection.execute(select(tables.positions.c.partition, tables.positions.c["index"])).all()
    return {partition: index for partition, index in found} == heads
