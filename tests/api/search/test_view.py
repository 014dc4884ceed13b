"""Whole runs and experiments, loaded from a real read model on both databases."""

from __future__ import annotations

import math

from mltrail_api.search.columns import Columns
from mltrail_api.search.experiment_view import ExperimentView, load_experiments
from mltrail_api.search.view import DatasetInput, LatestMetric, ModelOutput, RunView, load_run, load_runs
from mltrail_core.readmodel.store import ReadModel
from tests.api.search.sample import SampleDataset, SampleExperiment, SampleRun, fill
from tests.api.statements import statements_of


def test_a_run_comes_with_all_that_belongs_to_it(read_model: ReadModel) -> None:
    run = SampleRun(
        "a",
        experiment_id="71",
        name="one",
        ended_us=5,
        params={"q": "2", "p": "1"},
        tags={"t": "v"},
        metrics={"y": math.inf, "x": 0.5},
        datasets=(SampleDataset("iris", "d1", "train"),),
        input_models=("m-1",),
        output_models=(("m-2", 4),),
    )
    fill(read_model, [run], [SampleExperiment(aliases=("71",), artifact_location="s3://bucket/x/", is_deleted=True)])
    with read_model.reading() as connection:
        view = load_run(connection, "a")
    assert view == RunView(
        run_id="a",
        experiment_id="7",
        name="one",
        user="ann",
        status="FINISHED",
        started_us=1_000_000,
        ended_us=5,
        is_deleted=True,
        artifact_uri="s3://bucket/x/a/artifacts",
        params=(("p", "1"), ("q", "2")),
        tags=(("t", "v"),),
        metrics=(LatestMetric("x", 0.5, 2_000, 3), LatestMetric("y", math.inf, 2_000, 3)),
        dataset_inputs=(DatasetInput("iris", "d1", "local", "{}", None, None, {"mlflow.data.context": "train"}),),
        model_inputs=("m-1",),
        model_outputs=(ModelOutput("m-2", 4),),
    )


def test_nan_comes_back_as_nan(read_model: ReadModel) -> None:
    fill(read_model, [SampleRun("a", metrics={"x": math.nan})])
    with read_model.reading() as connection:
        view = load_run(connection, "a")
    assert view is not None
    assert math.isnan(view.metrics[0].value)


def test_runs_come_in_the_order_asked_for_and_unknown_ones_are_left_out(read_model: ReadModel) -> None:
    fill(read_model, [SampleRun("a"), SampleRun("b"), SampleRun("c", experiment_id="9")])
    with read_model.reading() as connection:
        views = load_runs(connection, ["c", "nowhere", "a"])
        assert load_run(connection, "nowhere") is None
    assert [(view.run_id, view.artifact_uri, view.is_deleted) for view in views] == [
        ("c", "mlflow-artifacts:/9/c/artifacts", False),
        ("a", "mlflow-artifacts:/7/a/artifacts", False),
    ]


def test_the_number_of_queries_does_not_grow_with_the_number_of_runs(read_model: ReadModel) -> None:
    run_ids = [f"{number:03d}" for number in range(200)]
    fill(read_model, [SampleRun(run_id, params={"p": run_id}, metrics={"x": 1.0}) for run_id in run_ids])
    with read_model.reading() as connection:
        statements = statements_of(connection)
        views = load_runs(connection, run_ids)
    assert [view.params[0][1] for view in views] == run_ids
    assert len(statements) == 7


def test_an_experiment_comes_with_its_tags(read_model: ReadModel) -> None:
    fill(read_model, (), [SampleExperiment("7", tags={"b": "2", "a": "1"}), SampleExperiment("8", "wine", "s3://b")])
    with read_model.reading() as connection:
        views = load_experiments(connection, ["8", "9", "7"])
    assert views == [
        ExperimentView("8", "wine", "s3://b", False, 1_000_000, 1_000_000, ()),
        ExperimentView("7", "iris", "mlflow-artifacts:/7", False, 1_000_000, 1_000_000, (("a", "1"), ("b", "2"))),
    ]


def test_a_page_holds_only_the_columns_asked_for(read_model: ReadModel) -> None:
    run = SampleRun(
        "a",
        params={"p": "1", "q": "2"},
        tags={"t": "v", "u": "w"},
        metrics={"x": 0.5, "y": 1.5},
        datasets=(SampleDataset("iris"),),
        input_models=("m-1",),
        output_models=(("m-2", 4),),
    )
    fill(read_model, [run, SampleRun("b", metrics={"y": 2.5})])
    with read_model.reading() as connection:
        some = load_runs(connection, ["a", "b"], Columns(metrics=["y"], params=["q", "none"], tags=[], inputs=False))
    assert [[metric.value for metric in view.metrics] for view in some] == [[1.5], [2.5]]
    assert [(view.params, view.tags) for view in some] == [((("q", "2"),), ()), ((), ())]
    assert (some[0].name, some[0].dataset_inputs, some[0].model_inputs, some[0].model_outputs) == ("run", (), (), ())
