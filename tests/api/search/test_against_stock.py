"""Random runs, filters and orders: our SQL on both databases against MLflow's own filter and sort in Python."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrail_api.search.expression import ViewType
from mltrail_api.search.runs import search_runs
from mltrail_core.readmodel.store import ReadModel, open_read_model
from tests.api.search.sample import EXPERIMENT_ID, SampleDataset, SampleRun, as_mlflow, fill
from tests.api.search.stock import SearchUtils
from tests.servers import PostgresServer

_WORDS = st.sampled_from(["", "a", "A", "ab", "aB", "b", "a_b", "a%b", "a*b", "[ab]", "10", "9", "é", "É"])
_KEYS = st.sampled_from(["x", "a b"])
_NUMBERS = st.sampled_from([0.0, -1.5, 2.0, 1e-3, 1e300, math.nan, math.inf, -math.inf])
_TIMES_MS = st.integers(0, 5)
_DATASETS = st.builds(SampleDataset, name=_WORDS, digest=st.just("d"), context=st.none() | _WORDS)


@st.composite
def _runs(draw: st.DrawFn) -> list[SampleRun]:
    return [
        SampleRun(
            f"{number:032x}",
            name=draw(_WORDS),
            user=draw(_WORDS),
            status=draw(st.sampled_from(["RUNNING", "FINISHED", "FAILED"])),
            started_us=draw(_TIMES_MS) * 1000,
            ended_us=draw(st.none() | _TIMES_MS.map(lambda time_ms: time_ms * 1000)),
            params=draw(st.dictionaries(_KEYS, _WORDS, max_size=2)),
            tags=draw(st.dictionaries(_KEYS, _WORDS, max_size=2)),
            metrics=draw(st.dictionaries(_KEYS, _NUMBERS, max_size=2)),
            datasets=tuple(draw(st.lists(_DATASETS, max_size=2, unique_by=lambda dataset: dataset.name))),
        )
        for number in range(draw(st.integers(3, 8)))
    ]


_PATTERNS = st.sampled_from(["%", "_", "a%", "%b", "A_", "a_b", "%[%", "*", "%a%b%", "", "?", "É"])
_NUMBER_COMPARATORS = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
_TEXT_TESTS = st.one_of(
    st.builds("{} '{}'".format, st.sampled_from(["=", "!="]), _WORDS),
    st.builds("{} '{}'".format, st.sampled_from(["LIKE", "ILIKE"]), _PATTERNS.filter(lambda pattern: pattern != "É")),
    st.builds("LIKE '{}'".format, _PATTERNS),
)
_LISTS = st.builds(
    "{} ({})".format,
    st.sampled_from(["IN", "NOT IN"]),
    st.lists(_WORDS.map(repr), min_size=1, max_size=3).map(", ".join),
)
_COMPARISONS = st.one_of(
    st.builds("metrics.`{}` {} {}".format, _KEYS, _NUMBER_COMPARATORS, st.sampled_from(["0", "-1.5", "1e-3", "3."])),
    st.builds("params.`{}` {}".format, _KEYS, _TEXT_TESTS | st.sampled_from(["IS NULL", "IS NOT NULL"])),
    st.builds('tags."{}" {}'.format, _KEYS, _TEXT_TESTS | st.sampled_from(["is null", "is not null"])),
    st.builds("{} {}".format, st.sampled_from(["status", "run_name", "attr.user_id", "run.run_id"]), _TEXT_TESTS),
    st.builds("dataset.{} {}".format, st.sampled_from(["name", "context"]), _TEXT_TESTS | _LISTS),
    st.builds("{} {} {}".format, st.sampled_from(["start_time", "end_time"]), _NUMBER_COMPARATORS, st.integers(-1, 6)),
    st.builds("run_id {} ('{:032x}')".format, st.sampled_from(["IN", "NOT IN"]), st.integers(0, 8)),
)
_FILTER_LISTS = st.lists(st.lists(_COMPARISONS, max_size=2).map(" AND ".join), min_size=4, max_size=12)
_ORDERS = st.lists(
    st.builds(
        "{} {}".format,
        st.sampled_from(["metrics.x", "params.`a b`", "tags.x", "start_time", "end_time", "status", "run_name"]),
        st.sampled_from(["ASC", "DESC"]),
    ),
    max_size=3,
    unique_by=lambda clause: clause.split()[0],
)


@pytest.fixture(scope="module")
def sqlite_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadModel]:
    """A read model that all examples fill anew."""
    with contextlib.closing(open_read_model(str(tmp_path_factory.mktemp("read")))) as opened:
        yield opened


@pytest.fixture(scope="module")
def postgres_model(postgres_server: PostgresServer) -> Iterator[ReadModel]:
    """The same on PostgreSQL."""
    url = postgres_server.create_database("search_against_stock")
    with contextlib.closing(open_read_model(url)) as opened:
        yield opened
    postgres_server.drop_database("search_against_stock")


@settings(max_examples=40, deadline=None)
@given(_runs(), _FILTER_LISTS, _ORDERS, st.integers(1, 4))
def test_sqlite_answers_as_stock(
    sqlite_model: ReadModel, sample: list[SampleRun], filters: list[str], order_by: list[str], page_size: int
) -> None:
    _compare(sqlite_model, sample, filters, order_by, page_size)


@settings(max_examples=20, deadline=None)
@given(_runs(), _FILTER_LISTS, _ORDERS, st.integers(1, 4))
def test_postgresql_answers_as_stock(
    postgres_model: ReadModel, sample: list[SampleRun], filters: list[str], order_by: list[str], page_size: int
) -> None:
    _compare(postgres_model, sample, filters, order_by, page_size)


def _compare(
    read_model: ReadModel, sample: list[SampleRun], filters: list[str], order_by: list[str], page_size: int
) -> None:
    fill(read_model, sample)
    mlflow_runs = [as_mlflow(run) for run in sample]
    for filter_string in filters:
        matching = SearchUtils.filter(mlflow_runs, filter_string)
        expected = [run.info.run_id for run in SearchUtils.sort(matching, order_by)]
        assert _walk(read_model, filter_string, order_by, page_size) == expected, filter_string


def _walk(read_model: ReadModel, filter_string: str, order_by: list[str], page_size: int) -> list[str]:
    found: list[str] = []
    page_token = None
    while True:
        with read_model.reading() as connection:
            page = search_runs(
                connection, [EXPERIMENT_ID], filter_string, ViewType.ALL, page_size, order_by, page_token
            )
        assert len(page.run_ids) == page_size or page.next_page_token is None
        assert not set(found) & set(page.run_ids), "a run came on two pages"
        found += page.run_ids
        page_token = page.next_page_token
        if page_token is None:
            return found
