"""Every filter and order of MLflow's means the same in the native search: random ones, and each that stock accepts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrail_api.search.expression import ViewType
from mltrail_api.search.native.expression import All, Leaf, NativeExpression
from mltrail_api.search.native.order import parse_order
from mltrail_api.search.native.parse import parse_filter
from mltrail_api.search.native.runs import FoundPage, Search, search
from mltrail_api.search.parse import parse_run_filter, parse_run_order
from mltrail_api.search.runs import search_runs
from mltrail_core.readmodel.store import ReadModel, open_read_model
from tests.api.search.random_searches import FILTER_LISTS, ORDERS, run_lists
from tests.api.search.sample import EXPERIMENT_ID, SampleRun, fill
from tests.api.search.test_parse import ACCEPTED, ONLY_STOCK_REFUSES
from tests.thorough import examples


@pytest.fixture(scope="module")
def sqlite_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadModel]:
    """A read model that all examples fill anew."""
    with contextlib.closing(open_read_model(str(tmp_path_factory.mktemp("read")))) as opened:
        yield opened


@settings(max_examples=examples(6, 15), deadline=None)
@given(run_lists(), FILTER_LISTS, ORDERS, st.sampled_from(ViewType), st.integers(1, 4))
def test_both_searches_find_the_same(
    sqlite_model: ReadModel,
    sample: list[SampleRun],
    filters: list[str],
    order_by: list[str],
    view: ViewType,
    page_size: int,
) -> None:
    fill(sqlite_model, sample)
    with sqlite_model.reading() as connection:
        for text in filters:
            theirs = search_runs(connection, [EXPERIMENT_ID], text, view, page_size, order_by)
            asked = Search(text, [EXPERIMENT_ID], order_by, page_size, view=view, columns=[])
            ours = search(connection, asked)
            assert isinstance(ours, FoundPage)
            assert [run["run_id"] for run in ours.runs] == list(theirs.run_ids), text
            assert ours.next_page_token == theirs.next_page_token, text


@pytest.mark.parametrize("text", [*ACCEPTED, *ONLY_STOCK_REFUSES])
def test_a_filter_that_mlflow_takes_is_read_the_same(text: str) -> None:
    assert tuple(_leaves(parse_filter(text))) == parse_run_filter(text).parts


@pytest.mark.parametrize(
    "clause",
    ["metrics.a", "metrics.`a b` DESC", "params.'a' asc", "tags.mlflow.source.name", "run.end_time DESC", "Created"],
)
def test_an_order_that_mlflow_takes_is_read_the_same(clause: str) -> None:
    assert parse_order([clause]) == parse_run_order([clause])


def _leaves(expression: NativeExpression) -> Iterator[Leaf]:
    match expression:
        case All(parts):
            for part in parts:
                yield from _leaves(part)
        case _:
            yield expression  # type: ignore[misc]  # MLflow's filters have neither OR nor NOT
