"""Runs whose writers went silent are lost, those whose writers are heard of again return, and outages excuse all."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import select

from mltrail_core.clock import now_us
from mltrail_core.events import Event, ProducerClosed, ProducerOpened, RunCreated, RunDeleted, RunStatusChanged, TagSet
from mltrail_core.ids import CONTROL, RunId, new_run_id, partition_of
from mltrail_core.liveness import API_DUTY, API_PATIENCE_S, open_liveness
from mltrail_core.liveness.folder import FolderLiveness
from mltrail_core.log import EventLog, open_log
from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_core.readmodel.tables import lost_runs, rejections, tags
from mltrail_core.rules import LOST_TAG
from mltrail_jobs.leases import Leases
from mltrail_jobs.reaper import Reaped, reap, reap_silent_runs
from mltrail_projector.loop import catch_up
from tests.projector.producing import Producing, metrics

LEASE_S = 120
ROUND_S = 20
NOTHING = Reaped()


class Clock:
    """The clock of the marks: that of the log, put forward as tests need it."""

    def __init__(self) -> None:
        self.ahead_us = 0

    def __call__(self) -> int:
        return now_us() + self.ahead_us


@dataclass
class Trainer:
    """A process that writes to a run."""

    run_id: RunId
    producing: Producing

    @property
    def subjects(self) -> list[str]:
        return [self.run_id, self.producing.producer]


@dataclass
class Place:
    """A log with its read model and marks."""

    log: EventLog
    read_model: ReadModel
    liveness: FolderLiveness
    clock: Clock
    leases: Leases = field(default_factory=Leases)
    names: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    def say(self, trainer: Trainer, *events: Event) -> None:
        self.log.append([trainer.producing.of_run(*events, run_id=trainer.run_id)])

    def join(self, run_id: RunId) -> Trainer:
        trainer = Trainer(run_id, Producing(f"producer-{next(self.names)}"))
        self.say(trainer, ProducerOpened(1, run_id, "host", 7))
        return trainer

    def train(self) -> Trainer:
        trainer = self.join(new_run_id())
        self.say(trainer, RunCreated(1, trainer.run_id, "0", "run", "ann", 1))
        return trainer

    def end(self, trainer: Trainer, *events: Event) -> None:
        sequence = trainer.producing._sequences[partition_of(trainer.run_id)] + 1
        self.say(trainer, *events, ProducerClosed(1, sequence))

    def train_by_mlflow(self) -> Trainer:
        trainer = Trainer(new_run_id(), Producing("api"))
        self.say(trainer, RunCreated(1, trainer.run_id, "0", "run", "ann", 1))
        return trainer

    def reap(self) -> Reaped:
        catch_up(self.log, self.read_model)
        found = reap(self.log, self.read_model, self.liveness, self.leases, projector_bound_s=0)
        if found != NOTHING:
            catch_up(self.log, self.read_model)
        return found

    def pass_time(self, seconds: float, *alive: Trainer, api: bool = False) -> Reaped:
        """Let the time pass in rounds, in which these trainers mark and the reaper works; return what it found."""
        lost: list[str] = []
        returned: list[str] = []
        for _ in range(int(seconds // ROUND_S)):
            self.clock.ahead_us += ROUND_S * 1_000_000
            self.liveness.mark([subject for trainer in alive for subject in trainer.subjects])
            if api:
                self.liveness.attend(API_DUTY, patience_s=API_PATIENCE_S)
            found = self.reap()
            lost += found.lost
            returned += found.returned
        return Reaped(tuple(lost), tuple(returned))

    def lost(self) -> dict[str, int]:
        with self.read_model.reading() as connection:
            return {row.run_id: row.last_seen_us for row in connection.execute(select(lost_runs))}

    def lost_tag(self, run_id: str) -> str | None:
        with self.read_model.reading() as connection:
            query = select(tags.c.value).where(tags.c.run_id == run_id, tags.c.key == LOST_TAG)
            return connection.execute(query).scalar()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    clock = Clock()
    with (
        contextlib.closing(open_log(str(tmp_path / "log"))) as log,
        contextlib.closing(open_read_model(str(tmp_path / "read"))) as read_model,
    ):
        found = Place(log, read_model, FolderLiveness(tmp_path / "marks", clock), clock, Leases(LEASE_S))
        yield found
        with read_model.reading() as connection:
            assert connection.execute(select(rejections)).all() == []


def test_a_run_whose_writer_fell_silent_is_lost_once_with_the_time_last_seen(place: Place) -> None:
    trainer, other = place.train(), place.train()
    assert place.pass_time(60, trainer, other) == NOTHING
    seen_us = max(place.liveness.last_seen(trainer.subjects).values())
    assert place.pass_time(LEASE_S - ROUND_S, other) == NOTHING
    assert place.pass_time(60, other) == Reaped(lost=(trainer.run_id,))
    assert place.lost() == {trainer.run_id: seen_us}
    tag = place.lost_tag(trainer.run_id)
    assert tag is not None
    assert tag.startswith("last seen 20")


def test_a_run_that_only_appends_is_alive_without_marks(place: Place) -> None:
    trainer = place.train()
    place.pass_time(100)
    # The log's clock is the real one, so the mark's clock is put back to where the log is.
    place.clock.ahead_us = 0
    place.say(trainer, metrics(trainer.run_id, "loss", 1.0))
    assert place.pass_time(LEASE_S - ROUND_S) == NOTHING
    assert place.pass_time(40) == Reaped(lost=(trainer.run_id,))


def test_a_lost_run_returns_when_a_writer_marks_again(place: Place) -> None:
    trainer = place.train()
    assert place.pass_time(LEASE_S + 40).lost == (trainer.run_id,)
    assert place.pass_time(20, trainer) == Reaped(returned=(trainer.run_id,))
    assert place.lost() == {}
    assert place.lost_tag(trainer.run_id) is None
    assert place.pass_time(LEASE_S + 40) == Reaped(lost=(trainer.run_id,))


def test_a_lost_run_returns_when_anybody_writes_to_it(place: Place) -> None:
    trainer, other = place.train(), place.train()
    assert set(place.pass_time(LEASE_S + 40).lost) == {trainer.run_id, other.run_id}
    place.clock.ahead_us = 0
    api = Trainer(trainer.run_id, Producing("api"))
    place.say(api, TagSet(1, trainer.run_id, "note", "still there?"))
    assert place.reap() == Reaped(returned=(trainer.run_id,))
    place.say(other, metrics(other.run_id, "loss", 1.0))
    assert place.reap() == Reaped(returned=(other.run_id,))
    assert place.reap() == NOTHING


def test_a_run_is_alive_as_long_as_one_of_its_writers_is(place: Place) -> None:
    first = place.train()
    second = place.join(first.run_id)
    assert place.pass_time(2 * LEASE_S, Trainer(first.run_id, second.producing)) == NOTHING
    assert place.pass_time(LEASE_S + 40) == Reaped(lost=(first.run_id,))


def test_a_writer_that_has_not_logged_yet_keeps_its_run_alive(place: Place) -> None:
    owner = place.train()
    silent_rank = Trainer(owner.run_id, Producing("never-heard-of"))
    assert place.pass_time(2 * LEASE_S, silent_rank) == NOTHING


def test_an_end_makes_a_lost_run_what_it_became(place: Place) -> None:
    trainer = place.train()
    place.pass_time(LEASE_S + 40)
    place.end(trainer, RunStatusChanged(1, trainer.run_id, "FINISHED", 2))
    assert place.reap() == NOTHING
    assert place.lost() == {}
    assert place.lost_tag(trainer.run_id) is None


def test_runs_that_ended_or_were_deleted_or_whose_writers_said_goodbye_are_never_lost(place: Place) -> None:
    finished, deleted, joined = place.train(), place.train(), place.train_by_mlflow()
    place.end(finished, RunStatusChanged(1, finished.run_id, "FAILED", 2))
    place.say(deleted, RunDeleted(1, deleted.run_id))
    rank = place.join(joined.run_id)
    place.end(rank)
    assert place.pass_time(2 * LEASE_S) == NOTHING


def test_runs_of_mlflows_clients_are_lost_only_when_a_setting_says_after_how_long(place: Place) -> None:
    trainer = place.train_by_mlflow()
    assert place.pass_time(2 * LEASE_S) == NOTHING
    place.leases = Leases(LEASE_S, abandoned_after_s=LEASE_S + 200)
    assert place.pass_time(60) == NOTHING
    assert place.pass_time(40) == Reaped(lost=(trainer.run_id,))
    place.say(trainer, metrics(trainer.run_id, "loss", 1.0))
    assert place.reap().returned == (trainer.run_id,)


def test_after_an_outage_a_whole_lease_passes_before_anybody_is_lost(place: Place) -> None:
    trainers = [place.train() for _ in range(3)]
    assert place.pass_time(60, *trainers) == NOTHING
    place.clock.ahead_us += 3600 * 1_000_000  # nobody marked, and nobody reaped: the server was away
    assert place.reap() == NOTHING
    assert place.pass_time(LEASE_S - ROUND_S, *trainers[:2]) == NOTHING
    assert place.pass_time(40, *trainers[:2]) == Reaped(lost=(trainers[2].run_id,))


def test_nobody_is_lost_while_the_api_is_away_nor_for_a_lease_after(place: Place) -> None:
    trainer = place.train()
    assert place.pass_time(60, trainer, api=True) == NOTHING
    assert place.pass_time(1000) == NOTHING
    assert place.pass_time(LEASE_S - ROUND_S, api=True) == NOTHING
    assert place.pass_time(40, api=True) == Reaped(lost=(trainer.run_id,))


def test_a_projector_that_is_behind_judges_nobody(place: Place) -> None:
    trainer = place.train()
    place.pass_time(LEASE_S - ROUND_S)
    place.say(trainer, TagSet(1, trainer.run_id, "a", "b"))
    place.clock.ahead_us += 40_000_000
    place.liveness.attend("reaper", patience_s=3600)
    assert reap(place.log, place.read_model, place.liveness, place.leases, projector_bound_s=0) == NOTHING


def test_marks_of_a_clock_that_was_put_back_do_not_keep_a_run_alive(place: Place) -> None:
    trainer = place.train()
    place.clock.ahead_us = 10**12
    place.liveness.mark(trainer.subjects)
    place.clock.ahead_us = 0
    assert place.pass_time(LEASE_S - ROUND_S) == NOTHING
    assert place.pass_time(40) == Reaped(lost=(trainer.run_id,))


def test_what_the_reaper_says_is_said_by_a_producer_that_says_goodbye(place: Place) -> None:
    trainer = place.train()
    place.pass_time(LEASE_S + 40)
    entries = place.log.read(partition_of(trainer.run_id), after=0)
    assert place.log.heads()[CONTROL] == 0
    rows = place.read_model
    with rows.reading() as connection:
        closed = connection.exec_driver_sql("SELECT count(*) FROM producers WHERE last_sequence = 1").scalar()
    assert closed == 1
    assert len(entries) == 3


def test_between_redis_and_postgresql_a_silent_run_is_lost_and_returns(redis_url: str, postgres_url: str) -> None:
    leases = Leases(lost_after_s=1)
    with (
        contextlib.closing(open_log(redis_url)) as log,
        contextlib.closing(open_read_model(postgres_url)) as read_model,
        contextlib.closing(open_liveness(redis_url)) as liveness,
    ):
        producing = Producing("trainer")
        run_id = new_run_id()
        begun = ProducerOpened(1, run_id, "host", 7), RunCreated(1, run_id, "0", "run", "ann", 1)
        log.append([producing.of_run(*begun, run_id=run_id)])
        liveness.mark([run_id])

        def next_found() -> Reaped:
            """Reap, more often than the reaper's patience, until something is found."""
            deadline = time.monotonic() + 30
            while (found := reap_silent_runs(redis_url, postgres_url, leases)) == NOTHING:
                assert time.monotonic() < deadline
                time.sleep(0.05)
                catch_up(log, read_model)
            catch_up(log, read_model)
            return found

        catch_up(log, read_model)
        assert next_found() == Reaped(lost=(run_id,))
        liveness.mark([run_id])
        assert next_found() == Reaped(returned=(run_id,))
