"""What stops the projector, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, select, update

from mltrail_core.errors import Unavailable
from mltrail_core.events import RunCreated, TagSet
from mltrail_core.ids import partition_of
from mltrail_core.log import EventLog, open_log
from mltrail_core.readmodel import tables
from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_projector import handlers, loop
from mltrail_projector.batch import PositionMoved, project_batch
from mltrail_projector.fold import Fold, Place
from mltrail_projector.frontier import Frontier
from mltrail_projector.loop import Halted, Projector, catch_up
from mltrail_projector.positions import LogDiffers, read_positions
from mltrail_projector.rebuild import Different, RebuildReport, rebuild
from tests.projector.producing import OTHER_RUN, RUN, Producing, metrics
from tests.projector.projecting import projecting, wait_for


def stand(read_model: ReadModel, run_id: str) -> tuple[int, str | None]:
    with read_model.reading() as connection:
        found = connection.execute(
            select(tables.positions).where(tables.positions.c.partition == partition_of(run_id))
        ).mappings()
        row = found.one_or_none()
    return (0, None) if row is None else (row["index"], row["halted"])


def test_handler_that_raises_halts_its_partition_and_no_other(
    log: EventLog, read_model: ReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert partition_of(RUN) != partition_of(OTHER_RUN)

    def fail(event: TagSet, fold: Fold, place: Place) -> None:
        raise ZeroDivisionError("a bug")

    producing = Producing()
    log.append([producing.of_run(RunCreated(1, run, "0", "name", "ann", 1), run_id=run) for run in (RUN, OTHER_RUN)])
    log.append([producing.of_run(TagSet(1, RUN, "a", "b"))])
    log.append([producing.of_run(metrics(OTHER_RUN, "loss", 1.0), run_id=OTHER_RUN)])
    log.append([producing.of_run(metrics(RUN, "loss", 1.0))])
    monkeypatch.setitem(handlers.HANDLERS, "tag_set", fail)
    with projecting(log, read_model):
        wait_for(lambda: stand(read_model, RUN)[1] is not None and stand(read_model, OTHER_RUN)[0] == 2)
        index, why = stand(read_model, RUN)
        assert index == 1
        assert why is not None
        assert "a bug" in why
        log.append([producing.of_run(metrics(OTHER_RUN, "loss", 2.0), run_id=OTHER_RUN)])
        wait_for(lambda: stand(read_model, OTHER_RUN)[0] == 3)
        with pytest.raises(Halted, match="halted"):
            catch_up(log, read_model)
    monkeypatch.undo()
    catch_up(log, read_model)
    assert stand(read_model, RUN) == (3, None)


def test_log_that_lost_its_tail_stops_everything_until_a_rebuild(
    log: EventLog, read_model: ReadModel, tmp_path: Path
) -> None:
    producing = Producing()
    log.append(
        [producing.of_run(RunCreated(1, RUN, "0", "name", "ann", 1)), producing.of_run(TagSet(1, RUN, "a", "b"))]
    )
    catch_up(log, read_model)
    restored = open_log(str(tmp_path / "restored"))
    restored.append([Producing().of_run(RunCreated(1, RUN, "0", "name", "ann", 1))])
    try:
        with pytest.raises(LogDiffers, match="ends before it"):
            Projector(restored, read_model).project_some()
        with pytest.raises(Different, match="past the log's end"):
            rebuild(restored, read_model)
        with projecting(restored, read_model):
            wait_for(lambda: stand(read_model, RUN)[1] is not None)
            rebuild(restored, read_model, accept_difference=True)
            restored.append([Producing("later").of_run(TagSet(1, RUN, "c", "d"))])
            wait_for(lambda: stand(read_model, RUN) == (2, None))
    finally:
        restored.close()


def test_log_with_another_record_at_the_position_is_noticed(
    log: EventLog, read_model: ReadModel, tmp_path: Path
) -> None:
    log.append([Producing().of_run(RunCreated(1, RUN, "0", "name", "ann", 1))])
    catch_up(log, read_model)
    other = open_log(str(tmp_path / "other"))
    other.append([Producing().of_run(RunCreated(1, RUN, "0", "forged", "ann", 1))])
    try:
        with pytest.raises(LogDiffers, match="was changed"):
            Projector(other, read_model).project_some()
    finally:
        other.close()


def test_batch_of_a_position_that_moved_writes_nothing(log: EventLog, read_model: ReadModel) -> None:
    log.append([Producing().of_run(RunCreated(1, RUN, "0", "name", "ann", 1))])
    read_positions(read_model, 1)
    batch = {partition_of(RUN): log.read(partition_of(RUN), after=0)}
    project_batch(read_model, 1, batch)
    with pytest.raises(PositionMoved):
        project_batch(read_model, 1, batch)


def test_two_projectors_project_each_record_once(log: EventLog, read_model: ReadModel) -> None:
    producing = Producing()
    with projecting(log, read_model), projecting(log, read_model):
        log.append([producing.of_run(RunCreated(1, RUN, "0", "name", "ann", 1))])
        for step in range(60):
            log.append([producing.of_run(metrics(RUN, "loss", 1.0, first_step=step))])
        wait_for(lambda: stand(read_model, RUN)[0] == 61)
    with read_model.reading() as connection:
        assert connection.execute(select(tables.metric_summaries.c.logged_points)).scalar_one() == 60
    assert rebuild(log, read_model).is_equal


@pytest.mark.parametrize(
    ("table", "row"),
    [
        pytest.param(tables.tags, {"run_id": RUN, "key": "a", "value": object()}, id="refused by the driver"),
        pytest.param(tables.changes, {"subject": "s", "partition": "00", "index": 1 << 70}, id="refused by the server"),
    ],
)
def test_record_that_cannot_be_written_halts_its_partition_and_no_other(
    log: EventLog, read_model: ReadModel, monkeypatch: pytest.MonkeyPatch, table: Table, row: dict[str, Any]
) -> None:
    def put_nonsense(event: TagSet, fold: Fold, place: Place) -> None:
        fold.rows.put(table, row)

    monkeypatch.setitem(handlers.HANDLERS, "tag_set", put_nonsense)
    producing = Producing()
    log.append([producing.of_run(RunCreated(1, run, "0", "name", "ann", 1), run_id=run) for run in (RUN, OTHER_RUN)])
    log.append([producing.of_run(metrics(RUN, "loss", 1.0)), producing.of_run(TagSet(1, RUN, "a", "b"))])
    log.append([producing.of_run(metrics(RUN, "loss", 2.0)), producing.of_run(metrics(OTHER_RUN, "loss", 1.0))])
    with projecting(log, read_model):
        wait_for(lambda: stand(read_model, RUN)[1] is not None and stand(read_model, OTHER_RUN)[0] == 1)
    assert stand(read_model, RUN)[0] == 2
    monkeypatch.undo()
    catch_up(log, read_model)
    assert stand(read_model, RUN) == (5, None)
    assert rebuild(log, read_model).is_equal


def test_log_that_was_rewound_and_grew_again_is_noticed(log: EventLog, read_model: ReadModel, tmp_path: Path) -> None:
    producing = Producing()
    begun = producing.of_run(RunCreated(1, RUN, "0", "name", "ann", 1))
    log.append([begun, producing.of_run(TagSet(1, RUN, "a", "b"))])
    rewound = open_log(str(tmp_path / "rewound"))
    rewound.append([begun, *(producing.of_run(TagSet(1, RUN, "c", str(n))) for n in range(5))])
    try:
        frontier = Frontier(log, read_model, 1, must_be_live=True)
        assert frontier.advance(log.heads())
        frontier._log = frontier._ahead._log = rewound  # a failover behind the same address
        with pytest.raises(LogDiffers, match="was changed"):
            frontier.advance(rewound.heads())
    finally:
        rewound.close()


def test_projector_outlives_trouble_while_it_halts_and_rebuilds(
    log: EventLog, read_model: ReadModel, read_model_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append([Producing().of_run(RunCreated(1, RUN, "0", "name", "ann", 1))])
    with read_model.writing(1) as connection:
        connection.execute(update(tables.generation).values(schema_hash="of another version"))
    reopened = open_read_model(read_model_url)
    failures = iter([Unavailable("away", retry_after_s=0.1), ZeroDivisionError("a bug")])

    def fail_twice(*arguments: object) -> RebuildReport:
        error = next(failures, None)
        if error is not None:
            raise error
        return rebuild(log, reopened)

    monkeypatch.setattr(loop, "rebuild", fail_twice)
    monkeypatch.setattr(loop, "FAILED_RETRY_S", 0.1)
    try:
        with projecting(log, reopened):
            wait_for(lambda: reopened.live_generation() == 2)
            wait_for(lambda: stand(reopened, RUN) == (1, None))
    finally:
        reopened.close()


def test_record_that_halts_does_not_keep_an_outdated_read_model_from_being_replaced(
    log: EventLog, read_model: ReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(event: TagSet, fold: Fold, place: Place) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setitem(handlers.HANDLERS, "tag_set", fail)
    producing = Producing()
    log.append(
        [producing.of_run(RunCreated(1, RUN, "0", "name", "ann", 1)), producing.of_run(TagSet(1, RUN, "a", "b"))]
    )
    log.append([producing.of_run(RunCreated(1, OTHER_RUN, "0", "name", "ann", 1), run_id=OTHER_RUN)])
    monkeypatch.setattr(type(read_model), "fits", lambda self, generation: generation > 1)
    assert rebuild(log, read_model).new_generation == 2
    assert stand(read_model, RUN)[0] == 1
    assert stand(read_model, RUN)[1] is not None
    assert stand(read_model, OTHER_RUN) == (1, None)
