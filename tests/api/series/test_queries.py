"""Which metrics a run has, read from both databases."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, insert

from mltrail_api.series.queries import (
    Extent,
    load_extents,
    load_summaries,
    load_summary,
    load_values,
    near_keys,
    nearest,
)
from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_core.readmodel.tables import metric_summaries, tags

_KEYS = ("Loss", "a_c", "abc", "loss", "val/Loss", "val/loss", "änderung")


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def read_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadModel]:
    with contextlib.ExitStack() as cleanup:
        url = str(tmp_path_factory.mktemp("read"))
        if request.param == "postgresql":
            server = request.getfixturevalue("postgres_server")
            url = server.create_database("series_queries")
            cleanup.callback(server.drop_database, "series_queries")
        opened = open_read_model(url)
        cleanup.callback(opened.close)
        with opened.writing(opened.live_generation()) as connection:
            connection.execute(insert(metric_summaries), [_row("r1", key) for key in _KEYS] + [_row("r2", "loss")])
            connection.execute(insert(tags), [{"run_id": "r1", "key": "team", "value": "red"}])
        yield opened


@pytest.fixture
def connection(read_model: ReadModel) -> Iterator[Connection]:
    with read_model.reading() as connection:
        yield connection


def _row(run_id: str, key: str) -> dict[str, object]:
    ends = {"first_step": 1, "first_time_us": 2, "first_value": 0.5, "last_step": 9, "last_time_us": 8}
    extremes = {"min_value": None, "min_step": None, "max_value": math.inf, "max_step": 3}
    return {"run_id": run_id, "key": key, "logged_points": 4, "last_value": None, **ends, **extremes}


def test_summaries_are_found_by_prefix_and_place(connection: Connection) -> None:
    def keys(**which: str | int) -> list[str]:
        return [summary.key for summary in load_summaries(connection, "r1", **which)]  # type: ignore[arg-type]

    assert keys() == sorted(_KEYS)
    assert keys(prefix="val/") == ["val/Loss", "val/loss"]
    assert keys(prefix="a_") == ["a_c"]
    assert keys(prefix="ä") == ["änderung"]
    assert keys(after="abc", limit=2) == ["loss", "val/Loss"]
    assert keys(prefix="val/", after="val/Loss") == ["val/loss"]


def test_one_summary_has_its_numbers(connection: Connection) -> None:
    summary = load_summary(connection, "r2", "loss")
    assert summary is not None
    assert (summary.first, summary.min, summary.max) == ((0.5, 1, 2), None, (math.inf, 3))
    assert math.isnan(summary.last[0])
    assert load_summary(connection, "r2", "Loss") is None


def test_extents_and_values_of_many_runs(connection: Connection) -> None:
    many = [f"other {number}" for number in range(1200)] + ["r1", "r2"]
    assert load_extents(connection, many, ["loss", "abc"]) == {
        ("r1", "loss"): Extent(1, 9, 4), ("r1", "abc"): Extent(1, 9, 4), ("r2", "loss"): Extent(1, 9, 4)
    }  # fmt: skip
    assert load_values(connection, many, "tags", "team") == {"r1": "red"}
    assert load_values(connection, many, "params", "team") == {}


def test_near_keys_are_those_that_a_person_meant(connection: Connection) -> None:
    assert near_keys(connection, "r1", "LOSS")[0] in ("Loss", "loss")
    assert near_keys(connection, "nobody", "loss") == []
    assert nearest("los", ["loss", "accuracy", "val/loss"]) == ["loss", "val/loss"]
    assert nearest("zzz", ["b", "a"]) == ["a", "b"]
