"""The native search over a real read model on both databases: pages, orders, experiments and columns."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import FromClause, func, select, true

from mltrail_api.search.experiment_names import UnknownExperiment
from mltrail_api.search.expression import ViewType
from mltrail_api.search.native import runs as native_runs
from mltrail_api.search.native.runs import FoundPage, Search, search
from mltrail_api.search.native.time_limit import limited
from mltrail_core.errors import Invalid
from mltrail_core.readmodel.store import ReadModel
from mltrail_core.readmodel.tables import metric_summaries, runs
from tests.api.search.sample import SampleDataset, SampleExperiment, SampleRun, fill


def page(read_model: ReadModel, asked: Search) -> FoundPage:
    """Return the page of a search that names no unknown experiment."""
    with read_model.reading() as connection:
        found = search(connection, asked)
    assert isinstance(found, FoundPage)
    return found


def ids(read_model: ReadModel, asked: Search) -> str:
    """Return the ids that a walk through all pages of a search finds, in order."""
    found: list[object] = []
    while True:
        one = page(read_model, asked)
        found += [run["run_id"] for run in one.runs]
        if one.next_page_token is None:
            return " ".join(map(str, found))
        asked = replace(asked, page_token=one.next_page_token)


def _spread(read_model: ReadModel, **least: float) -> None:
    with read_model.writing(read_model.live_generation()) as connection:
        for run_id, value in least.items():
            connection.execute(
                metric_summaries.update().where(metric_summaries.c.run_id == run_id).values(min_value=value)
            )


def test_experiments_are_named_by_name_or_id_and_all_are_searched_by_default(read_model: ReadModel) -> None:
    experiments = [
        SampleExperiment(aliases=("71",)),
        SampleExperiment("8", "wine"),
        SampleExperiment("9", "old", None, True),
    ]
    sample = [
        *(SampleRun("a"), SampleRun("b", experiment_id="71"), SampleRun("c", experiment_id="8")),
        *(SampleRun("d", experiment_id="9"), SampleRun("e", experiment_id="404"), SampleRun("f", is_deleted=True)),
    ]
    fill(read_model, sample, experiments)
    order = ["run_id"]
    assert ids(read_model, Search(order_by=order)) == "a b c e"
    assert ids(read_model, Search(experiments=["iris"], order_by=order)) == "a b"
    assert ids(read_model, Search(experiments=["71", "wine"], order_by=order)) == "a b c"
    assert ids(read_model, Search(experiments=[], order_by=order)) == ""
    assert ids(read_model, Search(view=ViewType.DELETED_ONLY, order_by=order)) == "d f"
    assert ids(read_model, Search(view=ViewType.ALL, order_by=order)) == "a b c d e f"
    with read_model.reading() as connection:
        assert search(connection, Search(experiments=["iris", "nowhere"])) == UnknownExperiment("nowhere")
        with pytest.raises(Invalid, match="holds a character"):
            search(connection, Search(experiments=["a\0"]))


@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        (["metrics.m.min"], "c a b d e"),
        (["metrics.m.min DESC"], "b a c d e"),
        (["metrics.m DESC", "run_id DESC"], "c b a e d"),
        (["duration DESC"], "b a d e c"),
        (["experiment", "run_id"], "b a c d e"),
        (["user DESC", "run_id"], "e a b c d"),
        (["actor DESC", "metrics.m.count", "run_id"], "e a b c d"),
    ],
)
def test_runs_are_sorted_by_what_only_the_native_search_knows(
    read_model: ReadModel, order_by: Sequence[str], expected: str
) -> None:
    fill(
        read_model,
        [
            SampleRun("a", metrics={"m": 1.0}, started_us=0, ended_us=5_000),
            SampleRun("b", metrics={"m": 1.0}, started_us=0, ended_us=9_000, experiment_id="8"),
            SampleRun("c", metrics={"m": 2.0}, started_us=0),
            SampleRun("d", started_us=0, ended_us=3_000),
            SampleRun("e", started_us=-1, ended_us=0, user="zoe"),
        ],
        [SampleExperiment(name="wine"), SampleExperiment("8", "iris")],
    )
    _spread(read_model, a=0.5, b=0.7, c=0.1)
    for size in (1, 2, 10):
        assert ids(read_model, Search(order_by=order_by, max_results=size)) == expected, size


def test_only_the_columns_asked_for_are_returned(read_model: ReadModel) -> None:
    run = SampleRun(
        "a",
        name="one",
        ended_us=3_000_000,
        params={"lr": "0.1", "depth": "3"},
        tags={"team": "vision"},
        metrics={"loss": 0.5, "acc": math.nan, "loss.min": math.inf},
        datasets=(SampleDataset("iris", "d1", "train"),),
        input_models=("m-1",),
        output_models=(("m-2", 4),),
    )
    fill(read_model, [run])
    _spread(read_model, a=0.25)
    whole = {
        "run_id": "a",
        "experiment_id": "7",
        "experiment": "iris",
        "run_name": "one",
        "user": "ann",
        "actor": "ann",
        "status": "FINISHED",
        "started_us": 1_000_000,
        "ended_us": 3_000_000,
        "duration_us": 2_000_000,
        "artifact_uri": "mlflow-artifacts:/7/a/artifacts",
        "is_deleted": False,
        "params": {"depth": "3", "lr": "0.1"},
        "tags": {"team": "vision"},
        "metrics": {
            "acc": {"last": "NaN", "last_step": 3},
            "loss": {"last": 0.5, "last_step": 3},
            "loss.min": {"last": "Infinity", "last_step": 3},
        },
        "datasets": [{"name": "iris", "digest": "d1", "context": "train"}],
        "models": {"inputs": ["m-1"], "outputs": [{"model_id": "m-2", "step": 4}]},
    }
    for columns, expected in (
        (None, whole),
        ([], {"run_id": "a"}),
        (["run_id"], {"run_id": "a", "is_deleted": False}),
        (["params.lr", "params.none"], {"run_id": "a", "params": {"lr": "0.1"}}),
        (["tags"], {"run_id": "a", "tags": {"team": "vision"}}),
        (["metrics.loss"], {"run_id": "a", "metrics": {"loss": {"last": 0.5, "last_step": 3}}}),
        (
            ["metrics.loss.min", "metrics.loss.max", "metrics.`loss.min`.count"],
            {"run_id": "a", "metrics": {"loss": {"min": 0.25, "max": 0.5}, "loss.min": {"count": 1}}},
        ),
        (["metrics.*"], {"run_id": "a", "metrics": whole["metrics"]}),
        (["datasets"], {"run_id": "a", "datasets": whole["datasets"]}),
        (["models"], {"run_id": "a", "models": whole["models"]}),
        (
            ["attributes.status", "user", "duration"],
            {"run_id": "a", "status": "FINISHED", "user": "ann", "duration_us": 2_000_000, "is_deleted": False},
        ),
        (["attributes", "params", "tags", "metrics", "datasets", "models"], whole),
    ):
        assert page(read_model, Search(columns=columns)).runs == [expected], columns


@pytest.mark.parametrize("columns", [["foo.a"], ["params.a DESC"], ["a b"], [""], ["datasets.name"], ["params.a", "x"]])
def test_a_column_that_is_none_is_refused(read_model: ReadModel, columns: list[str]) -> None:
    with read_model.reading() as connection, pytest.raises(Invalid, match=r"^columns, line 1, column \d+: "):
        search(connection, Search(columns=columns))


def test_a_search_that_takes_too_long_is_cut_short_and_the_connection_stays_usable(read_model: ReadModel) -> None:
    fill(read_model, [SampleRun(f"{number:03d}", tags={"t": "x"}) for number in range(200)])
    crossed: FromClause = runs
    for number in range(5):
        crossed = crossed.join(runs.alias(f"r{number}"), true())
    slow = select(func.count()).select_from(crossed)
    with (
        pytest.raises(Invalid, match=r"took longer than 0\.05 s"),
        read_model.reading() as connection,
        limited(connection, 0.05),
    ):
        connection.execute(slow).scalar()
    assert len(page(read_model, Search(max_results=1000)).runs) == 200


def test_a_regular_expression_that_takes_too_long_on_one_text_is_cut_short(
    read_model: ReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_runs, "limited", lambda connection: limited(connection, 0.02))
    word = "".join(random.Random(7).choices("ab", k=100_000))
    fill(read_model, [SampleRun("a", tags={"t": word})])
    with read_model.reading() as connection, pytest.raises(Invalid, match=r"took longer than 0\.02 s"):
        search(connection, Search("tags.t ~ '[ab]*a[ab]{230}c'"))
