"""`mlflow.models.evaluate`: metrics, plots and tables of a classifier."""

from __future__ import annotations

import mlflow
import pandas as pd  # type: ignore[import-untyped]
import pytest
import sklearn

from tests.ecosystem.conftest import Tracking, inputs_of

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow and scikit-learn about each other


@pytest.mark.thorough
def test_an_evaluation_logs_metrics_plots_tables_and_the_dataset(tracking: Tracking) -> None:
    data, target = sklearn.datasets.load_iris(return_X_y=True, as_frame=True)
    is_second = (target == 1).astype(int)
    classifier = sklearn.linear_model.LogisticRegression(max_iter=200).fit(data, is_second)
    misses = mlflow.models.make_metric(eval_fn=_misses, greater_is_better=False, name="misses")  # type: ignore[no-untyped-call]
    frame = data.assign(label=is_second)
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(classifier, name="model", signature=mlflow.models.infer_signature(data))
        result = mlflow.models.evaluate(  # type: ignore[no-untyped-call]
            info.model_uri,
            frame,
            targets="label",
            model_type="classifier",
            evaluators="default",
            evaluator_config={"log_model_explainability": False},
            extra_metrics=[misses],
        )
    found = tracking.client.get_run(run.info.run_id)
    assert found.data.metrics["accuracy_score"] == classifier.score(data, is_second)
    assert found.data.metrics == {key: pytest.approx(value) for key, value in result.metrics.items()}
    assert found.data.metrics["misses"] == (classifier.predict(data) != is_second).sum()
    files = tracking.files(run.info.run_id)
    assert {"confusion_matrix.png", "roc_curve_plot.png", "precision_recall_curve_plot.png"} <= set(files)
    assert result.artifacts["confusion_matrix"].uri == f"{run.info.artifact_uri}/confusion_matrix.png"
    [used] = inputs_of(run.info.run_id).dataset_inputs
    assert used.dataset.digest == mlflow.data.pandas_dataset.from_pandas(frame, targets="label").digest
    [scored] = inputs_of(run.info.run_id).model_inputs
    assert scored.model_id == info.model_id
    model = tracking.client.get_logged_model(info.model_id)
    assert {metric.key for metric in model.metrics or ()} >= {"accuracy_score", "misses"}


def _misses(predictions: pd.Series, targets: pd.Series, metrics: object) -> float:
    return float((predictions != targets).sum())
