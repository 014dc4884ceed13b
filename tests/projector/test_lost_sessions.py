"""A read model on PostgreSQL goes on after its sessions were ended, as a restart ends them."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import text

from mltrail_core.errors import Unavailable
from mltrail_core.events import RunCreated
from mltrail_core.log import EventLog
from mltrail_core.readmodel import postgres_store
from mltrail_core.readmodel.pipelining import pipelined
from mltrail_core.readmodel.store import ReadModel, open_read_model
from tests.projector.producing import RUN, Producing, metrics
from tests.projector.projecting import projecting, wait_for
from tests.projector.test_reading_ahead import points


@pytest.fixture
def on_postgres(postgres_url: str) -> Iterator[ReadModel]:
    read_model = open_read_model(postgres_url)
    yield read_model
    read_model.close()


def end_sessions(postgres_url: str) -> None:
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")


def test_session_that_ended_while_it_rested_is_replaced_unnoticed(
    on_postgres: ReadModel, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert on_postgres.live_generation() == 1
    end_sessions(postgres_url)
    monkeypatch.setattr(postgres_store, "_IDLE_S", 0.0)
    assert on_postgres.live_generation() == 1


def test_session_that_ended_between_two_uses_is_trouble_once(on_postgres: ReadModel, postgres_url: str) -> None:
    assert on_postgres.live_generation() == 1
    end_sessions(postgres_url)
    with pytest.raises(Unavailable):
        on_postgres.live_generation()
    assert on_postgres.live_generation() == 1


def test_read_begins_anew_when_its_session_ended_between_two_uses(on_postgres: ReadModel, postgres_url: str) -> None:
    for _ in range(2):
        with on_postgres.reading() as one, on_postgres.reading() as other:
            isolations = [each.execute(text("SHOW transaction_isolation")).scalar_one() for each in (one, other)]
            assert isolations == ["repeatable read"] * 2
        end_sessions(postgres_url)


def test_session_that_ends_while_statements_are_under_way_is_trouble(on_postgres: ReadModel, postgres_url: str) -> None:

    def lose_it() -> None:
        with on_postgres.writing(1) as connection:
            connection.execute(text("SELECT 1"))
            end_sessions(postgres_url)
            with pipelined(connection):
                connection.execute(text("DELETE FROM mltrail_pointer WHERE generation = 0"))

    with pytest.raises(Unavailable):
        lose_it()
    assert on_postgres.live_generation() == 1


def test_projector_goes_on_after_its_sessions_ended(log: EventLog, on_postgres: ReadModel, postgres_url: str) -> None:
    producing = Producing()
    with projecting(log, on_postgres):
        log.append([producing.of_run(RunCreated(1, RUN, "0", "name", "ann", 1), metrics(RUN, "loss", 1.0))])
        wait_for(lambda: points(on_postgres) == 1)
        end_sessions(postgres_url)
        log.append([producing.of_run(metrics(RUN, "loss", 1.0, first_step=1))])
        with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
            seen = "SELECT sum(logged_points) FROM mltrail_g1.metric_summaries"
            wait_for(lambda: (connection.execute(seen).fetchone() or (0,))[0] == 2)
