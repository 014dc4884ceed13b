"""Trainers send known sequences while processes are killed with SIGKILL; the read model ends up with exactly those."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from mltrail_core.intervals import parse_intervals
from mltrail_core.log import EventLog, open_log
from mltrail_core.metric_block import block_of_bytes, concatenate
from mltrail_core.readmodel import tables
from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_projector.loop import catch_up
from mltrail_projector.rebuild import rebuild
from tests.acceptance.stack import Stack, a_stack, projected, wait_for
from tests.acceptance.trainer import KEYS, value_of

TRAINERS = 8
POINTS = 25_000
"""Of each trainer: 8 trainers send 200,000 (rounded down to whole steps)."""
ROUNDS = 80
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
    """Cause the fault at random moments."""
    for _ in range(times):
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


@pytest.mark.parametrize("kind", ["folder", "services"])
def test_projector_killed_twenty_times_loses_and_doubles_nothing(kind: str) -> None:
    with a_stack(kind) as stack, training(stack.uri) as trainers, stack.opened() as (log, read_model):
        stood_at = 0

        def kill_projector_at_work() -> None:
            # A projector that has only begun to load has nothing to lose: it is killed once it has projected.
            nonlocal stood_at
            wait_for(lambda: projected(read_model) > stood_at or is_idle(trainers, log, read_model), 60, "it projects")
            time.sleep(random.uniform(0.0, 0.2))
            stood_at = projected(read_model)
            stack.projector.kill()
            stack.projector.start()

        disturb(kill_projector_at_work, 19)
        rebuilt_while_writing = stack.json("rebuild")
        disturb(kill_projector_at_work, 1)
        ids = run_ids(trainers)
        assert_all_arrived(stack, ids)
        assert rebuilt_while_writing["is_equal"] is True
        assert stack.json("rebuild")["is_equal"] is True
        with stack.opened() as (_, read_model):
            assert_exactly_what_was_sent(read_model, ids)


@pytest.mark.parametrize("kind", ["folder", "services"])
def test_api_killed_while_trainers_send_loses_and_doubles_nothing(kind: str) -> None:
    with a_stack(kind) as stack, training(stack.uri) as trainers:

        def kill_api() -> None:
            stack.api.kill()
            stack.api.start()

        disturb(kill_api, 5)
        assert_all_arrived(stack, run_ids(trainers))
        assert stack.json("rebuild")["is_equal"] is True


@pytest.mark.parametrize("way", ["http", "redis"])
def test_valkey_killed_while_trainers_send_loses_and_doubles_nothing(way: str) -> None:
    with a_stack("services") as stack:
        valkey = stack.valkey
        assert valkey is not None

        def kill_valkey() -> None:
            valkey.kill()
            valkey.start()

        with training(stack.uri if way == "http" else valkey.url) as trainers:
            disturb(kill_valkey, 5)
            assert_all_arrived(stack, run_ids(trainers))
        assert stack.json("rebuild")["is_equal"] is True


def test_trainers_on_a_folder_need_no_server(tmp_path: Path) -> None:
    with training(str(tmp_path)) as trainers:
        ids = run_ids(trainers)
    log, read_model = open_log(str(tmp_path / "log")), open_read_model(str(tmp_path / "read"))
    try:
        catch_up(log, read_model)
        assert [missing_of(read_model, run_id) for run_id in ids] == [[]] * TRAINERS
        assert_exactly_what_was_sent(read_model, ids)
        assert rebuild(log, read_model).is_equal
    finally:
        log.close()
        read_model.close()
