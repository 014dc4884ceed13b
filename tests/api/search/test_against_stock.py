"""Random runs, filters and orders: our SQL on both databases against MLflow's own filter and sort in Python."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrail_api.search.expression import ViewType
from mltrail_api.search.run_walk import Effort
from mltrail_api.search.runs import search_runs
from mltrail_core.readmodel.store import ReadModel, open_read_model
from tests.api.search.random_searches import FILTER_LISTS, ORDERS, run_lists
from tests.api.search.sample import EXPERIMENT_ID, SampleRun, as_mlflow, fill
from tests.api.search.stock import search_utils
from tests.servers import PostgresServer
from tests.thorough import examples

_EFFORTS = st.sampled_from(
    [
        Effort(),  # so few runs are sorted
        Effort(few_runs=0, rare_runs=0, first_rows=1000),  # walked to the end
        Effort(few_runs=0, rare_runs=3, first_rows=1000),
        Effort(few_runs=0, rare_runs=0, first_rows=1, counted_runs=4, walked_rows=3),
        Effort(few_runs=0, rare_runs=0, first_rows=1, counted_runs=0, walked_rows=2),
    ]
)
"""Each way that a search can take, which with the numbers of a server only large ones do."""


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


@settings(max_examples=examples(10, 25), deadline=None)
@given(run_lists(), FILTER_LISTS, ORDERS, st.integers(1, 4), _EFFORTS)
def test_sqlite_answers_as_stock(
    sqlite_model: ReadModel,
    sample: list[SampleRun],
    filters: list[str],
    order_by: list[str],
    page_size: int,
    effort: Effort,
) -> None:
    _compare(sqlite_model, sample, filters, order_by, page_size, effort)


@settings(max_examples=examples(5, 12), deadline=None)
@given(run_lists(), FILTER_LISTS, ORDERS, st.integers(1, 4), _EFFORTS)
def test_postgresql_answers_as_stock(
    postgres_model: ReadModel,
    sample: list[SampleRun],
    filters: list[str],
    order_by: list[str],
    page_size: int,
    effort: Effort,
) -> None:
    _compare(postgres_model, sample, filters, order_by, page_size, effort)


def _compare(
    read_model: ReadModel,
    sample: list[SampleRun],
    filters: list[str],
    order_by: list[str],
    page_size: int,
    effort: Effort,
) -> None:
    fill(read_model, sample)
    mlflow_runs = [as_mlflow(run) for run in sample]
    for filter_string in filters:
        matching = search_utils().SearchUtils.filter(mlflow_runs, filter_string)
        expected = [run.info.run_id for run in search_utils().SearchUtils.sort(matching, order_by)]
        assert _walk(read_model, filter_string, order_by, page_size, effort) == expected, filter_string


def _walk(read_model: ReadModel, filter_string: str, order_by: list[str], page_size: int, effort: Effort) -> list[str]:
    found: list[str] = []
    page_token = None
    while True:
        with read_model.reading() as connection:
            page = search_runs(
                connection, [EXPERIMENT_ID], filter_string, ViewType.ALL, page_size, order_by, page_token, effort
            )
        assert len(page.run_ids) == page_size or page.next_page_token is None
        assert not set(found) & set(page.run_ids), "a run came on two pages"
        found += page.run_ids
        page_token = page.next_page_token
        if page_token is None:
            return found
