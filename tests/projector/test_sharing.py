"""Several projectors share the partitions of one log, and take over those of one that is gone or stands still."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sqlalchemy import func, select

from mltrail_core.events import Event, RunCreated
from mltrail_core.ids import PARTITIONS, RUN_PARTITIONS, partition_of
from mltrail_core.log import EventLog
from mltrail_core.readmodel import tables
from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_projector import shares
from mltrail_projector.rebuild import rebuild
from mltrail_projector.shares import Shares
from tests.projector.producing import Producing, metrics
from tests.projector.projecting import projecting, wait_for

RUNS = [f"{number:032x}" for number in range(100)]
"""Some in every partition."""


def append_to_every_partition(log: EventLog, producing: Producing, step: int) -> None:
    records = []
    for run_id in RUNS:
        begun: list[Event] = [RunCreated(1, run_id, "0", "name", "ann", 1)] if step == 0 else []
        records.append(producing.of_run(*begun, metrics(run_id, "loss", 1.0, first_step=step), run_id=run_id))
    log.append(records)


def points(read_model: ReadModel) -> int:
    with read_model.reading() as connection:
        return int(connection.execute(select(func.sum(tables.metric_summaries.c.logged_points))).scalar() or 0)


def renewed(of: Shares, log: EventLog) -> int:
    of._renewed_s = None
    of.renew(log.heads())
    return len(of.partitions)


def test_partitions_of_a_killed_projector_are_taken_over_exactly_once(
    log: EventLog, read_model: ReadModel, read_model_url: str
) -> None:
    assert {partition_of(run_id) for run_id in RUNS} == set(RUN_PARTITIONS)
    producing = Producing()
    command = [sys.executable, "-m", "tests.projector.lone_projector", log.url, read_model_url]
    with subprocess.Popen(command) as other:
        try:
            append_to_every_partition(log, producing, 0)
            wait_for(lambda: points(read_model) == len(RUNS), 60)
            with projecting(log, read_model):
                append_to_every_partition(log, producing, 1)
                wait_for(lambda: points(read_model) == 2 * len(RUNS), 60)
                append_to_every_partition(log, producing, 2)
                other.kill()
                append_to_every_partition(log, producing, 3)
                wait_for(lambda: points(read_model) == 4 * len(RUNS), 60)
        finally:
            other.kill()
    assert rebuild(log, read_model).is_equal


def test_projectors_on_postgresql_have_fair_shares(log: EventLog, postgres_url: str) -> None:
    read_model = open_read_model(postgres_url)
    first, second, third = (Shares(read_model) for _ in range(3))
    try:
        assert renewed(first, log) == len(PARTITIONS)
        assert renewed(second, log) == 0  # the first does not know of it yet
        assert (renewed(first, log), renewed(second, log)) == (9, 8)
        assert first.partitions | second.partitions == set(PARTITIONS)
        assert renewed(third, log) == 0
        assert (renewed(first, log), renewed(second, log), renewed(third, log)) == (6, 6, 5)
        assert first.partitions | second.partitions | third.partitions == set(PARTITIONS)
        first.close()
        wait_for(lambda: renewed(second, log) + renewed(third, log) == len(PARTITIONS))
        assert not second.partitions & third.partitions
    finally:
        for each in (first, second, third):
            each.close()
        read_model.close()


def test_second_projector_on_a_folder_stands_by(log: EventLog, tmp_path_factory: pytest.TempPathFactory) -> None:
    read_model = open_read_model(str(tmp_path_factory.mktemp("read")))
    first, second = Shares(read_model), Shares(read_model)
    assert (renewed(first, log), renewed(second, log)) == (len(PARTITIONS), 0)
    first.close()
    assert renewed(second, log) == len(PARTITIONS)
    second.close()
    read_model.close()


def test_partitions_whose_owner_stands_still_are_projected_all_the_same(
    log: EventLog, read_model: ReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "STALL_S", 0.2)
    monkeypatch.setattr(shares, "RENEW_S", 0.1)
    stopped = Shares(read_model)
    renewed(stopped, log)
    append_to_every_partition(log, Producing(), 0)
    try:
        with projecting(log, read_model), projecting(log, read_model):
            wait_for(lambda: points(read_model) == len(RUNS))
    finally:
        stopped.close()
    assert rebuild(log, read_model).is_equal
