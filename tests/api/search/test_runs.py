"""runs/search over a real read model on both databases."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from mltrail_api.search.expression import ViewType
from mltrail_api.search.page_token import After, Offset, encode_token
from mltrail_api.search.parse import MAX_COMPARISONS, MAX_LISTED_VALUES, MAX_ORDER_TERMS, MAX_PATTERN_CHARACTERS
from mltrail_api.search.run_walk import Effort
from mltrail_api.search.runs import search_runs
from mltrail_core.errors import Invalid
from mltrail_core.readmodel.store import ReadModel
from tests.api.search.sample import EXPERIMENT_ID, SampleDataset, SampleExperiment, SampleRun, fill

_FEW, _MANY = Effort(), Effort(few_runs=0, rare_runs=0, first_rows=1, walked_rows=1)
"""What a search does with few runs, and would with very many."""


def found(
    read_model: ReadModel,
    filter_string: str = "",
    *,
    experiment_ids: Sequence[str] = (EXPERIMENT_ID,),
    view_type: ViewType = ViewType.ACTIVE_ONLY,
    order_by: Sequence[str] = ("run_id",),
    effort: Effort = _FEW,
) -> str:
    """Return the ids of the runs that a search gives, in order, separated by blanks."""
    with read_model.reading() as connection:
        page = search_runs(connection, experiment_ids, filter_string, view_type, order_by=order_by, effort=effort)
    return " ".join(page.run_ids)


def test_each_kind_of_column_is_filtered(read_model: ReadModel) -> None:
    fill(
        read_model,
        [
            SampleRun("a", name="one", params={"my key": "v"}, metrics={"x": 2.0}, tags={"a b": "_x_"}),
            SampleRun("b", name="two", user="bob", status="FAILED", metrics={"x": 0.5}, ended_us=5_999),
            SampleRun("c", datasets=(SampleDataset("iris", "d1", "train"), SampleDataset("wine"))),
        ],
    )
    for filter_string, expected in {
        "metrics.x > 1 and params.\"my key\" = 'v' AND tags.`a b` LIKE '%x%'": "a",
        "metrics.x <= 2": "a b",
        "attributes.status = 'FAILED'": "b",
        "status != 'FAILED'": "a c",
        "run_name = 'two'": "b",
        "attr.`Run name` ILIKE 'T%'": "b",
        "user_id = 'bob'": "b",
        "run_id IN ('a', 'c', 'z')": "a c",
        "run.run_id NOT IN ('a')": "b c",
        "end_time = 5": "b",
        "end_time != 5": "",
        "dataset.name = 'iris' AND dataset.name = 'wine'": "c",
        "datasets.context IN ('train')": "c",
        "datasets.digest LIKE 'd_'": "c",
        "params.`my key` IS NULL": "b c",
        "tags.`a b` IS NOT NULL": "a",
        "artifact_uri = 'mlflow-artifacts:/7/b/artifacts'": "b",
        "metrics.x > 0 metrics.x < 1": "b",
    }.items():
        assert found(read_model, filter_string) == expected, filter_string


def test_an_empty_list_of_experiments_matches_nothing(read_model: ReadModel) -> None:
    fill(read_model, [SampleRun("a")])
    assert found(read_model, experiment_ids=()) == ""


def test_runs_are_found_under_every_id_of_their_experiment(read_model: ReadModel) -> None:
    fill(
        read_model,
        [SampleRun("a", experiment_id="7"), SampleRun("b", experiment_id="71"), SampleRun("c", experiment_id="8")],
        [SampleExperiment("7", aliases=("71", "72")), SampleExperiment("8", "wine")],
    )
    for experiment_id in ("7", "71", "72", "007"):
        assert found(read_model, experiment_ids=[experiment_id]) == "a b", experiment_id
    assert found(read_model, experiment_ids=["72", "8"]) == "a b c"


def test_a_deleted_experiment_deletes_its_runs(read_model: ReadModel) -> None:
    fill(
        read_model,
        [
            SampleRun("a"),
            SampleRun("b", is_deleted=True),
            SampleRun("c", experiment_id="8"),
            SampleRun("d", experiment_id="9"),
        ],
        [SampleExperiment(), SampleExperiment("8", "wine", is_deleted=True)],
    )
    everywhere = ["7", "8", "9"]
    assert found(read_model, experiment_ids=everywhere) == "a d"
    assert found(read_model, experiment_ids=everywhere, view_type=ViewType.DELETED_ONLY) == "b c"
    assert found(read_model, experiment_ids=everywhere, view_type=ViewType.ALL) == "a b c d"


def test_nan_differs_from_every_number_and_is_nothing_else(read_model: ReadModel) -> None:
    fill(read_model, [SampleRun("a", metrics={"x": math.nan}), SampleRun("b", metrics={"x": 0.0}), SampleRun("c")])
    assert found(read_model, "metrics.x != 0") == "a"
    for comparator in ("=", "<=", ">="):
        assert found(read_model, f"metrics.x {comparator} 0") == "b", comparator


def test_infinities_compare_as_numbers(read_model: ReadModel) -> None:
    fill(read_model, [SampleRun("a", metrics={"x": math.inf}), SampleRun("b", metrics={"x": -math.inf})])
    assert found(read_model, "metrics.x > 1e308") == "a"
    assert found(read_model, "metrics.x < -1e308") == "b"
    assert found(read_model, "metrics.x = 1e400") == "a"


def test_times_compare_in_whole_milliseconds(read_model: ReadModel) -> None:
    fill(
        read_model,
        [SampleRun("a", started_us=4_999), SampleRun("b", started_us=5_001), SampleRun("c", started_us=6_000)],
    )
    for filter_string, expected in {
        "start_time = 5": "b",
        "start_time != 5": "a c",
        "start_time < 5": "a",
        "start_time <= 5": "a b",
        "start_time > 5": "c",
        "start_time >= 5": "b c",
        "start_time > 4.5": "b c",
        "start_time <= 5.5": "a b",
        "start_time = 5.5": "",
        "start_time != 5.5": "a b c",
        "created < 99999999999999999999999": "a b c",
        "Created > 99999999999999999999999": "",
        "start_time > -99999999999999999999999": "a b c",
        "start_time < 1e400": "a b c",
    }.items():
        assert found(read_model, filter_string) == expected, filter_string


def test_like_tells_case_apart_and_ilike_does_not(read_model: ReadModel) -> None:
    values = {"a": "Abc", "b": "abC", "c": "a*c", "d": "a\\c", "e": "a[c", "f": "ÄBC", "g": "a%c"}
    fill(read_model, [SampleRun(run_id, params={"p": value}) for run_id, value in values.items()])
    for filter_string, expected in {
        "params.p LIKE 'Abc'": "a",
        "params.p ILIKE 'aBc'": "a b",
        "params.p LIKE 'a%'": "b c d e g",
        "params.p LIKE 'a*c'": "c",
        "params.p LIKE 'a\\c'": "d",
        "params.p ILIKE 'A\\C'": "d",
        "params.p LIKE 'a[c'": "e",
        "params.p LIKE 'a?c'": "",
        "params.p like '_BC'": "f",
        "params.p ilike '_bc'": "a b f",
        "params.p ILIKE 'ä%'": "",
        "params.p = 'a%c'": "g",
    }.items():
        assert found(read_model, filter_string) == expected, filter_string


def test_a_column_without_a_value_comes_last_and_nan_before_it(read_model: ReadModel) -> None:
    numbers = {"a": math.nan, "b": 2.0, "c": -1.0, "d": math.inf}
    fill(
        read_model,
        [SampleRun(run_id, metrics={"x": value}, params={"p": run_id}) for run_id, value in numbers.items()]
        + [SampleRun("e"), SampleRun("f", started_us=2_000_000, ended_us=1)],
    )
    assert found(read_model, order_by=["metrics.x"]) == "c b d a f e"
    assert found(read_model, order_by=["metrics.x DESC"]) == "d b c a f e"
    assert found(read_model, order_by=["params.p DESC", "run_id DESC"]) == "d c b a f e"
    assert found(read_model, order_by=["end_time", "metrics.`y`", "attributes.run_id"]) == "f a b c d e"
    assert found(read_model, order_by=[]) == "f a b c d e"


def test_bad_arguments_are_refused(read_model: ReadModel) -> None:
    with read_model.reading() as connection:
        for max_results in (0, -1, 50_001):
            with pytest.raises(Invalid, match="max_results"):
                search_runs(connection, ["7"], max_results=max_results)
        with pytest.raises(Invalid, match="experiment id 'iris'"):
            search_runs(connection, ["iris"])
        with pytest.raises(Invalid, match="sorted by twice"):
            search_runs(connection, ["7"], order_by=["start_time", "created DESC"])


def test_pages_of_the_default_order_stay_put_while_runs_are_added(read_model: ReadModel) -> None:
    there = [SampleRun(f"{number:02d}", started_us=1_000 * (number // 3)) for number in range(10)]
    fill(read_model, there)
    seen: list[str] = []
    page_token: str | None = None
    for added in range(10):
        with read_model.reading() as connection:
            page = search_runs(connection, [EXPERIMENT_ID], max_results=2, page_token=page_token)
        seen += page.run_ids
        page_token = page.next_page_token
        if page_token is None:
            break
        there.append(SampleRun(f"new{added}", started_us=1_000_000 + added))
        fill(read_model, there)
    assert page_token is None
    assert seen == ["09", "06", "07", "08", "03", "04", "05", "00", "01", "02"]


@pytest.mark.parametrize(
    "page_token",
    [
        *("x", "e30=", "bm90IGpzb24=", "\ud800", "é", "[" * 10_000, encode_token("experiments", Offset(3))),
        *(
            encode_token("runs", Offset(-1)),
            encode_token("runs", Offset(2**63)),
            encode_token("runs", After((1, "\0"))),
        ),
    ],
)
def test_a_page_token_that_was_not_given_out_is_refused(read_model: ReadModel, page_token: str) -> None:
    with read_model.reading() as connection, pytest.raises(Invalid, match="page token"):
        search_runs(connection, [EXPERIMENT_ID], page_token=page_token)


def test_a_page_token_of_another_order_is_refused(read_model: ReadModel) -> None:
    fill(read_model, [SampleRun("a"), SampleRun("b")])
    with read_model.reading() as connection:
        page_token = search_runs(connection, [EXPERIMENT_ID], max_results=1).next_page_token
        assert page_token is not None
        same = search_runs(connection, [EXPERIMENT_ID], order_by=["start_time DESC"], page_token=page_token)
        assert same.run_ids == ("b",)
        with pytest.raises(Invalid, match="another order"):
            search_runs(connection, [EXPERIMENT_ID], order_by=["status"], page_token=page_token)


@pytest.mark.parametrize(
    "shared_read_model", ["sqlite", pytest.param("postgresql", marks=pytest.mark.thorough)], indirect=True
)
def test_the_largest_filter_order_and_list_of_experiments_are_answered(read_model: ReadModel) -> None:
    fill(read_model, [SampleRun(run_id, params={"p": "x"}) for run_id in "abc"])
    ids = [str(number) for number in range(10_000)]
    filter_string = " AND ".join(["params.p = 'x'"] * MAX_COMPARISONS)
    assert found(read_model, filter_string, experiment_ids=ids) == "a b c"
    assert found(read_model, filter_string, effort=_MANY) == "a b c"
    assert found(read_model, "run_id IN (" + "'a'," * MAX_LISTED_VALUES + ")") == "a"
    assert found(read_model, "params.p ILIKE '" + "é" * MAX_PATTERN_CHARACTERS + "'") == ""
    assert found(read_model, "params.p LIKE '" + "*" * MAX_PATTERN_CHARACTERS + "'") == ""
    order_by = [f"metrics.m{number}" for number in range(MAX_ORDER_TERMS)]
    assert found(read_model, order_by=order_by) == found(read_model, order_by=order_by, effort=_MANY) == "a b c"
