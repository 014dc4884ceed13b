"""`mlflow.autolog()` for scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator

import mlflow
import pytest
import sklearn

from tests.ecosystem.conftest import Tracking, inputs_of

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow and scikit-learn about each other


@pytest.fixture
def autologging(tracking: Tracking) -> Iterator[Tracking]:
    mlflow.autolog(silent=True, log_input_examples=True)
    yield tracking
    mlflow.autolog(disable=True, silent=True)


def test_autolog_records_a_fit(autologging: Tracking) -> None:
    data, target = sklearn.datasets.load_iris(return_X_y=True, as_frame=True)
    sklearn.linear_model.LogisticRegression(C=0.5, max_iter=200).fit(data, target)
    [run] = autologging.client.search_runs([autologging.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["C"] == "0.5"
    assert run.data.params["max_iter"] == "200"
    assert run.data.tags["estimator_name"] == "LogisticRegression"
    assert run.data.metrics["training_accuracy_score"] > 0.9
    assert "training_confusion_matrix.png" in autologging.files(run.info.run_id)
    [used] = inputs_of(run.info.run_id).dataset_inputs
    assert [(tag.key, tag.value) for tag in used.tags] == [("mlflow.data.context", "train")]
    assert run.outputs is not None
    [output] = run.outputs.model_outputs
    model = autologging.client.get_logged_model(output.model_id)
    assert (model.status, model.source_run_id, model.params["C"]) == ("READY", run.info.run_id, "0.5")
    linked = {metric.key for metric in model.metrics or ()}
    assert "training_accuracy_score" in linked
    loaded = mlflow.pyfunc.load_model(model.model_uri)
    assert (loaded.predict(data) == target).mean() == run.data.metrics["training_accuracy_score"]


@pytest.mark.thorough
def test_autolog_records_a_grid_search_as_child_runs(autologging: Tracking) -> None:
    data, target = sklearn.datasets.load_iris(return_X_y=True, as_frame=True)
    search = sklearn.model_selection.GridSearchCV(
        sklearn.linear_model.LogisticRegression(max_iter=200), {"C": [0.1, 1.0, 10.0]}, cv=2
    ).fit(data, target)
    found = autologging.client.search_runs([autologging.experiment_id])
    [parent] = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    children = autologging.client.search_runs(
        [autologging.experiment_id],
        f"tags.mlflow.parentRunId = '{parent.info.run_id}'",
        order_by=["metrics.mean_test_score DESC"],
    )
    assert len(children) == len(found) - 1 == 3
    assert {run.data.params["C"] for run in children} == {"0.1", "1.0", "10.0"}
    assert {run.info.status for run in children} == {"FINISHED"}
    assert parent.data.params["best_C"] == str(search.best_params_["C"])
    assert parent.data.metrics["best_cv_score"] == search.best_score_ == children[0].data.metrics["mean_test_score"]
    files = autologging.files(parent.info.run_id)
    assert "cv_results.csv" in files
    assert parent.outputs is not None
    assert len(parent.outputs.model_outputs) == 2  # the search, and its best estimator
