"""experiments/search over a real read model on both databases."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mltrail_api.search.experiments import search_experiments
from mltrail_api.search.expression import ViewType
from mltrail_api.search.page_token import After, encode_token
from mltrail_core.errors import Invalid
from mltrail_core.readmodel.store import ReadModel
from tests.api.search.sample import SampleExperiment, fill

SAMPLE = [
    SampleExperiment("0", "Default", created_us=1_000, updated_us=1_999),
    SampleExperiment("9", "iris", created_us=5_500, updated_us=9_000, tags={"team": "Vision"}, aliases=("91",)),
    SampleExperiment("10", "Iris 2", created_us=5_500, updated_us=7_000, tags={"team": "audio", "a b": ""}),
    SampleExperiment("11", "old", created_us=6_000, updated_us=6_000, is_deleted=True),
]


def found(
    read_model: ReadModel,
    filter_string: str = "",
    *,
    view_type: ViewType = ViewType.ACTIVE_ONLY,
    order_by: Sequence[str] = ("experiment_id",),
) -> str:
    """Return the ids of the experiments that a search gives, in order, separated by blanks."""
    with read_model.reading() as connection:
        return " ".join(search_experiments(connection, filter_string, view_type, order_by=order_by).experiment_ids)


def test_names_times_ids_and_tags_are_filtered(read_model: ReadModel) -> None:
    fill(read_model, (), SAMPLE)
    for filter_string, expected in {
        "": "0 9 10",
        "name = 'iris'": "9",
        "attribute.name != 'iris'": "0 10",
        "name LIKE 'I%'": "10",
        "name ILIKE 'I%'": "9 10",
        "creation_time = 5": "9 10",
        "creation_time > 1 AND last_update_time <= 7": "10",
        "last_update_time = 1": "0",
        "experiment_id = '9'": "9",
        "experiment_id = '91'": "9",
        "experiment_id != '009'": "0 10",
        "experiment_id IN ('91', '10')": "9 10",
        "experiment_id NOT IN ('9')": "0 10",
        "tags.team = 'audio'": "10",
        "tags.team != 'audio'": "9",
        "tag.team LIKE 'v%'": "",
        "tag.team ILIKE 'v%'": "9",
        "tags.`a b` IS NOT NULL": "10",
        "tags.team IS NULL": "0",
    }.items():
        assert found(read_model, filter_string) == expected, filter_string


def test_the_view_says_whether_deleted_ones_are_shown(read_model: ReadModel) -> None:
    fill(read_model, (), SAMPLE)
    assert found(read_model, view_type=ViewType.DELETED_ONLY) == "11"
    assert found(read_model, view_type=ViewType.ALL) == "0 9 10 11"


def test_newest_come_first_and_ids_are_ordered_as_numbers(read_model: ReadModel) -> None:
    fill(read_model, (), SAMPLE)
    assert found(read_model, order_by=()) == "9 10 0"
    assert found(read_model, order_by=("creation_time DESC",)) == "10 9 0"
    assert found(read_model, order_by=("experiment_id DESC",)) == "10 9 0"
    assert found(read_model, order_by=("name",)) == "0 10 9"
    assert found(read_model, order_by=("last_update_time DESC",)) == "9 10 0"


def test_pages_hold_every_experiment_once(read_model: ReadModel) -> None:
    fill(read_model, (), [SampleExperiment(str(number), f"e{number}") for number in range(7)])
    seen: list[str] = []
    page_token: str | None = None
    while page_token is not None or not seen:
        with read_model.reading() as connection:
            page = search_experiments(connection, max_results=3, page_token=page_token)
        assert not set(seen) & set(page.experiment_ids)
        seen += page.experiment_ids
        page_token = page.next_page_token
    assert seen == ["0", "1", "2", "3", "4", "5", "6"]


def test_bad_arguments_are_refused(read_model: ReadModel) -> None:
    with read_model.reading() as connection:
        for max_results in (0, 50_001):
            with pytest.raises(Invalid, match="max_results"):
                search_experiments(connection, max_results=max_results)
        with pytest.raises(Invalid, match="experiment id 'x' is not a decimal number"):
            search_experiments(connection, "experiment_id = 'x'")
        for page_token in ("x", encode_token("runs", After((1, "a"))), encode_token("experiments", After((1, "a")))):
            with pytest.raises(Invalid, match="page token"):
                search_experiments(connection, page_token=page_token)
