"""What PostgreSQL is told of the read model: indexes that tell a run alone, and room to hash what a search finds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from sqlalchemy import Select, create_engine, func, insert, select, text

from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_core.readmodel.tables import HEAD_CHARACTERS, indexed_value, metric_summaries, params, tags

RUNS = 3_000


@pytest.fixture
def on_postgres(postgres_url: str) -> Iterator[ReadModel]:
    with closing(open_read_model(postgres_url)) as read_model:
        yield read_model


def plan_of(read_model: ReadModel, query: Select[Any]) -> str:
    """Return how PostgreSQL would perform a query if the table, which is small here, were too large to be read."""
    with read_model.reading() as connection:
        compiled = query.compile(
            dialect=connection.dialect,
            compile_kwargs={"literal_binds": True},
            schema_translate_map={None: f"mltrail_g{read_model.live_generation()}"},
        )
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        return "\n".join(connection.execute(text(f"EXPLAIN {compiled}")).scalars())


def test_sets_of_runs_are_read_from_the_indexes_alone(on_postgres: ReadModel, postgres_url: str) -> None:
    run_ids = [f"{number:032x}" for number in range(RUNS)]
    points = {"logged_points": 1, "last_step": 0, "last_time_us": 0, "first_step": 0, "first_time_us": 0}
    with on_postgres.writing(1) as connection:
        for table in (params, tags):
            texts = [{"run_id": run_id, "key": "k", "value": f"v{int(run_id, 16) % 10}"} for run_id in run_ids]
            connection.execute(insert(table), texts)
        values = [{"run_id": run_id, "key": "k", "last_value": int(run_id, 16) / RUNS, **points} for run_id in run_ids]
        connection.execute(insert(metric_summaries), values)
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for table in (params, tags, metric_summaries):
            connection.execute(text(f"VACUUM ANALYZE mltrail_g1.{table.name}"))
    engine.dispose()
    for table in (params, tags):
        of_value = select(table.c.run_id).where(table.c.key == "k", indexed_value(table, "postgresql") == "v3")
        assert f"Index Only Scan using {table.name}_by_key_postgresql" in plan_of(on_postgres, of_value)
    least = select(metric_summaries.c.run_id).where(metric_summaries.c.key == "k", metric_summaries.c.min_value < 0.1)
    below = select(metric_summaries.c.run_id).where(metric_summaries.c.key == "k", metric_summaries.c.last_value < 0.1)
    for query in (least, below):
        assert "Index Only Scan using metric_summaries_by_key_postgresql" in plan_of(on_postgres, query)


def test_the_indexed_part_of_a_value_follows_the_value(on_postgres: ReadModel) -> None:
    long = "x" * 5_000
    with on_postgres.writing(1) as connection:
        connection.execute(insert(params), [{"run_id": "0" * 32, "key": "k", "value": long}])
        head = select(indexed_value(params, "postgresql"))
        assert connection.execute(head).scalar_one() == long[:HEAD_CHARACTERS]
        connection.execute(params.update().values(value="short"))
        assert connection.execute(head).scalar_one() == "short"
        aliased = params.alias("other")
        assert connection.execute(select(func.count(indexed_value(aliased, "postgresql")))).scalar_one() == 1


@pytest.mark.parametrize(("allowed", "expected"), [("1MB", "16MB"), ("64MB", "64MB")])
def test_a_session_may_hash_what_a_search_finds_and_what_the_server_allows(
    postgres_url: str, allowed: str, expected: str
) -> None:
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        database = connection.info.dbname
        connection.execute(f"ALTER DATABASE \"{database}\" SET work_mem = '{allowed}'".encode())
    with closing(open_read_model(postgres_url)) as read_model, read_model.reading() as session:
        assert session.execute(text("SHOW work_mem")).scalar_one() == expected
