"""The catalogue names the keys that runs of an experiment have or had, whoever wrote first, whatever is remembered."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from mltrail_core.events import Event, ParamLogged, RunCreated, TagDeleted, TagSet
from mltrail_core.ids import partition_of
from mltrail_core.log import EventLog
from mltrail_core.readmodel import tables
from mltrail_core.readmodel.store import ReadModel
from mltrail_projector import memory
from mltrail_projector.batch import FlushFailed
from mltrail_projector.catalogue import Catalogue
from mltrail_projector.loop import Projector, catch_up
from mltrail_projector.memory import WrittenKeys
from mltrail_projector.rebuild import rebuild
from mltrail_projector.rows import Rows
from tests.projector.producing import OTHER_RUN, RUN, Producing, metrics

BEGUN = RunCreated(1, RUN, "7", "first", "ann", 1)
OTHER_BEGUN = RunCreated(1, OTHER_RUN, "7", "other", "ann", 1)


def keys(read_model: ReadModel) -> set[tuple[str, str, str]]:
    columns = tables.experiment_keys.c
    with read_model.reading() as connection:
        return {tuple(row) for row in connection.execute(select(columns.experiment_id, columns.kind, columns.key))}


def test_keys_of_runs_that_were_written_to_before_they_were_announced(log: EventLog, read_model: ReadModel) -> None:
    producing = Producing()
    early: list[Event] = [metrics(RUN, "loss", 1.0), ParamLogged(1, RUN, "lr", "0.1"), TagSet(1, RUN, "gone", "a")]
    log.append([producing.of_run(*early, TagDeleted(2, RUN, "gone"))])
    catch_up(log, read_model)
    assert keys(read_model) == set()
    log.append([producing.of_run(metrics(RUN, "acc", 1.0), BEGUN, TagSet(3, RUN, "team", "a"))])
    log.append([producing.of_run(TagDeleted(4, RUN, "team"))])
    catch_up(log, read_model)
    assert keys(read_model) == {
        ("7", "metric", "acc"),
        ("7", "metric", "loss"),
        ("7", "param", "lr"),
        ("7", "tag", "mlflow.runName"),
        ("7", "tag", "team"),
    }
    assert rebuild(log, read_model).is_equal


def test_catalogue_is_the_same_whatever_is_remembered(
    log: EventLog, read_model: ReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "MAX_REMEMBERED", 2)
    producing, projector = Producing(), Projector(log, read_model)
    for number in range(6):
        begun = [(RUN, BEGUN), (OTHER_RUN, OTHER_BEGUN)] if number == 0 else []
        log.append([producing.of_run(event, run_id=run_id) for run_id, event in begun])
        for run_id in (RUN, OTHER_RUN):
            log.append([producing.of_run(metrics(run_id, f"m{number % 4}", 1.0, first_step=number), run_id=run_id)])
        assert projector.project_some()
    assert {key for _, kind, key in keys(read_model) if kind == "metric"} == {"m0", "m1", "m2", "m3"}
    partitions = {partition_of(RUN), partition_of(OTHER_RUN)}
    with read_model.reading() as connection:
        assert set(connection.execute(select(tables.experiment_keys.c.partition)).scalars()) == partitions
    assert rebuild(log, read_model).is_equal


def test_keys_of_a_transaction_that_failed_are_not_taken_for_written(
    log: EventLog, read_model: ReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    producing, projector = Producing(), Projector(log, read_model)
    log.append([producing.of_run(BEGUN), producing.of_run(metrics(RUN, "loss", 1.0))])
    flush, failures = Catalogue.flush, iter([FlushFailed("a bug")])

    def fail_once(self: Catalogue) -> None:
        flush(self)
        for failure in failures:
            raise failure

    monkeypatch.setattr(Catalogue, "flush", fail_once)
    while projector.project_some():
        pass
    assert ("7", "metric", "loss") in keys(read_model)


def test_known_key_is_not_written_again() -> None:
    written = WrittenKeys()
    first = Catalogue(Rows(None), written)
    first.note("7", "metric", partition_of(RUN), ("loss", "acc"))
    first.committed()
    rows = Rows(None)
    second = Catalogue(rows, written)
    second.note("7", "metric", partition_of(RUN), ("loss", "acc"))
    second.note("7", "metric", partition_of(RUN), ("loss", "val"))
    second.flush()
    assert [row["key"] for _, row in rows.changes() if row is not None] == ["val"]
