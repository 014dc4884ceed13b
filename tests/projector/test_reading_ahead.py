"""A batch that was read while another one was projected is taken only where it goes on from the positions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, select

from mltrail_core.errors import Unavailable
from mltrail_core.events import RunCreated, TagSet
from mltrail_core.ids import partition_of
from mltrail_core.log import EventLog, LogEntry, open_log
from mltrail_core.readmodel import tables
from mltrail_core.readmodel.store import ReadModel
from mltrail_projector import handlers, read_ahead
from mltrail_projector.batch import PositionMoved
from mltrail_projector.entries import Decoded, decode_entry
from mltrail_projector.fold import Fold, Place
from mltrail_projector.frontier import Frontier
from mltrail_projector.loop import catch_up
from mltrail_projector.positions import LogDiffers
from mltrail_projector.read_ahead import ReadAhead
from mltrail_projector.rebuild import rebuild
from tests.projector.producing import OTHER_RUN, RUN, Producing, metrics
from tests.projector.projecting import projecting, wait_for

RECORDS = 30
BOTH = {partition_of(RUN), partition_of(OTHER_RUN)}


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the log of a test several batches long."""
    monkeypatch.setattr(read_ahead, "PARTITION_RECORDS", 4)


@pytest.fixture
def filled(log: EventLog) -> EventLog:
    """Return the log with some batches of two runs in it."""
    append_batches(log)
    return log


@pytest.fixture
def frontier(filled: EventLog, read_model: ReadModel) -> Iterator[Frontier]:
    """Yield a frontier that has projected one batch, and reads the next one ahead."""
    frontier = Frontier(filled, read_model, 1, must_be_live=True)
    with closing(frontier):
        assert frontier.advance(filled.heads())
        assert frontier.is_behind
        yield frontier


def append_batches(log: EventLog) -> None:
    producing = Producing()
    runs = (RUN, OTHER_RUN)
    log.append([producing.of_run(RunCreated(1, run, "0", "name", "ann", 1), run_id=run) for run in runs])
    for step in range(RECORDS):
        log.append([producing.of_run(metrics(run, "loss", 1.0, first_step=step), run_id=run) for run in runs])


def points(read_model: ReadModel) -> int:
    with read_model.reading() as connection:
        return int(connection.execute(select(func.sum(tables.metric_summaries.c.logged_points))).scalar() or 0)


def test_every_record_is_read_once_and_projected_once(
    filled: EventLog, read_model: ReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[tuple[str, int]] = []

    def decode(entry: LogEntry) -> Decoded:
        decoded.append((entry.partition, entry.index))
        return decode_entry(entry)

    monkeypatch.setattr(read_ahead, "decode_entry", decode)
    catch_up(filled, read_model)
    assert sorted(decoded) == sorted((name, index) for name in BOTH for index in range(1, RECORDS + 2))
    assert points(read_model) == 2 * RECORDS
    assert rebuild(filled, read_model).is_equal


def test_what_is_read_again_to_be_compared_takes_no_room_from_what_follows(
    filled: EventLog, read_model: ReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_bytes = len(filled.read(partition_of(RUN), after=RECORDS - 1, max_records=1)[0].frozen)
    monkeypatch.setattr(read_ahead, "PARTITION_BYTES", 2 * record_bytes + record_bytes // 2)
    with closing(Frontier(filled, read_model, 1, must_be_live=True)) as frontier:
        frontier.advance(filled.heads())
        assert [frontier.advance(filled.heads()) for _ in range(3)] == [2 * len(BOTH)] * 3


def test_batch_read_ahead_of_a_position_that_another_projector_moved_is_dropped(
    frontier: Frontier, filled: EventLog, read_model: ReadModel
) -> None:
    catch_up(filled, read_model)
    with pytest.raises(PositionMoved):
        frontier.advance(filled.heads())
    assert points(read_model) == 2 * RECORDS
    assert rebuild(filled, read_model).is_equal


def test_batch_read_ahead_of_a_log_that_was_rewound_meanwhile_is_refused(
    filled: EventLog, read_model: ReadModel, tmp_path: Path
) -> None:
    with closing(open_log(str(tmp_path / "rewound"))) as rewound:
        producing = Producing("after the failover")
        rewound.append([producing.of_run(TagSet(1, RUN, "c", str(number))) for number in range(2 * RECORDS)])
        with closing(Frontier(filled, read_model, 1, must_be_live=True)) as frontier:
            frontier._ahead._log = _FailingOver(filled, rewound)  # type: ignore[assignment]  # all that is used of it
            frontier.advance(filled.heads())
            with pytest.raises(LogDiffers, match="was changed"):
                frontier.advance(filled.heads())


def test_record_that_halts_its_partition_drops_what_was_read_past_it(
    filled: EventLog, read_model: ReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(event: TagSet, fold: Fold, place: Place) -> None:
        raise ZeroDivisionError("a bug")

    producing = Producing("of tags")
    filled.append([producing.of_run(TagSet(1, RUN, "a", "b"))])
    for step in range(RECORDS):
        filled.append([producing.of_run(metrics(RUN, "loss", 1.0, first_step=RECORDS + step))])
    with monkeypatch.context() as patched, projecting(filled, read_model):
        patched.setitem(handlers.HANDLERS, "tag_set", fail)
        wait_for(lambda: points(read_model) == 2 * RECORDS)
    catch_up(filled, read_model)
    assert points(read_model) == 3 * RECORDS
    assert rebuild(filled, read_model).is_equal


def test_what_could_not_be_read_ahead_is_read_when_it_is_needed(
    filled: EventLog, read_model: ReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: ReadAhead, positions: object, known_bytes: object) -> None:
        raise Unavailable("the log went away")

    monkeypatch.setattr(ReadAhead, "_read", fail)
    catch_up(filled, read_model)
    assert points(read_model) == 2 * RECORDS


class _FailingOver:
    """A log whose address leads elsewhere after its first batch was read, as after a failover."""

    def __init__(self, before: EventLog, after: EventLog) -> None:
        self._before, self._after = before, after
        self._left = len(BOTH)

    def read(self, partition: str, *, after: int, max_records: int, max_bytes: int = 1 << 20) -> list[LogEntry]:
        log = self._before if self._left > 0 else self._after
        self._left -= 1
        return log.read(partition, after=after, max_records=max_records, max_bytes=max_bytes)  # type: ignore[arg-type]
