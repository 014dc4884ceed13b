"""Trainers that send known sequences, faults at random moments, and the comparison with what must have arrived."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
from sqlalchemy import select

from mltrail_core.intervals import parse_intervals
from mltrail_core.log import EventLog
from mltrail_core.metric_block import block_of_bytes, concatenate
from mltrail_core.readmodel import tables
from mltrail_core.readmodel.store import ReadModel
from tests.acceptance.stack import Stack, projected, wait_for
from tests.acceptance.trainer import KEYS, value_of

IS_FULL = os.environ.get("MLTRAIL_TEST_FAULTS") == "full"
"""Whether the tests take the form that tests/README.md names; by default the suite has a shorter one."""
TRAINERS = 8
POINTS = 25_000 if IS_FULL else 9_000
"""Of each trainer: in the full form 8 trainers send 200,000 (rounded down to whole steps)."""
ROUNDS = 80 if IS_FULL else 30
ARRIVAL_TIMEOUT_S = 120.0
STEPS = POINTS // len(KEYS) // ROUNDS * ROUNDS


@contextlib.contextmanager
def training(uri: str) -> Iterator[list[subprocess.Popen[str]]]:
    """Start the trainers; end those that still run when the test fails."""
    command = [sys.executable, "-m", "tests.acceptance.trainer", uri]
    trainers = [
        subprocess.Popen(
            [*command, str(number), str(POINTS), str(ROUNDS)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for number in range(TRAINERS)
    ]
    try:
        yield trainers
    finally:
        for trainer in trainers:
            if trainer.poll() is None:
                trainer.kill()
            trainer.communicate()


def disturb(fault: Callable[[], None], times: int) -> None:
    """Cause the fault at random moments; in the short form a quarter of the times."""
    for _ in range(times if IS_FULL else max(1, times // 4)):
        time.sleep(random.uniform(0.05, 0.6))
        fault()


def is_idle(trainers: list[subprocess.Popen[str]], log: EventLog, read_model: ReadModel) -> bool:
    """Return whether nothing is left to do: everybody has trained, everything is projected."""
    has_trained = all(trainer.poll() is not None for trainer in trainers)
    return has_trained and projected(read_model) == sum(log.heads().values())


def run_ids(trainers: list[subprocess.Popen[str]]) -> list[str]:
    """Wait for all trainers, and return the ids of their runs, in the order of their names."""
    ids = []
    for trainer in trainers:
        output, errors = trainer.communicate(timeout=300)
        assert trainer.returncode == 0, f"a trainer ended with {trainer.returncode}:\n{errors}"
        ids.append(output.split()[-1])
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
            blocks = connection.execute(
                select(tables.metric_blocks.c.block).where(tables.metric_blocks.c.run_id == run_id)
            ).scalars()
            whole = concatenate(block_of_bytes(bytes(packed)) for packed in blocks)
            run = connection.execute(select(tables.runs.c.status).where(tables.runs.c.run_id == run_id)).scalar_one()
            rejected = connection.execute(
                select(tables.rejections.c.message).where(tables.rejections.c.subject == run_id)
            ).all()
        assert run == "FINISHED"
        assert rejected == []
        for key in KEYS:
            series = whole.of_key(key)
            order = np.argsort(series.steps, kind="stable")
            assert series.steps[order].tolist() == list(range(STEPS)), f"{run_id} {key}"
            assert series.values[order].tolist() == [value_of(str(number), key, step) for step in range(STEPS)]


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
