"""Models, the registry and autologging over the plug-in's URIs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import mlflow
import numpy as np
import pytest
import sklearn
from numpy.typing import NDArray

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow and scikit-learn about each other


@cache
def iris() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return what is known of each flower, and its kind."""
    data, target = sklearn.datasets.load_iris(return_X_y=True)
    return data, target


@pytest.fixture(scope="module")
def fitted() -> sklearn.linear_model.LogisticRegression:
    return sklearn.linear_model.LogisticRegression(max_iter=300).fit(*iris())


@pytest.mark.parametrize("tracking_uri", ["redis"], indirect=True)
def test_a_model_is_logged_registered_and_loaded(
    tracking_uri: str, fitted: sklearn.linear_model.LogisticRegression, request: pytest.FixtureRequest
) -> None:
    name, client = str(request.node.name), mlflow.MlflowClient()
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(
            fitted,
            name="model",
            registered_model_name=name,
            signature=mlflow.models.infer_signature(*iris()),
        )
        mlflow.log_metric(
            "auc", 0.9, model_id=info.model_id, dataset=mlflow.data.numpy_dataset.from_numpy(iris()[0], name="iris")
        )
        linked = client.get_logged_model(info.model_id).metrics
    assert linked is not None
    assert [(metric.key, metric.value, metric.dataset_name) for metric in linked] == [("auc", 0.9, "iris")]
    assert mlflow.get_run(run.info.run_id).data.metrics == {"auc": 0.9}
    for uri in (info.model_uri, f"runs:/{run.info.run_id}/model", f"models:/{name}/1"):
        assert (mlflow.pyfunc.load_model(uri).predict(iris()[0]) == fitted.predict(iris()[0])).all()
    assert mlflow.register_model(info.model_uri, name).version in ("2", 2)
    client.set_registered_model_alias(name, "champion", "2")
    assert (mlflow.sklearn.load_model(f"models:/{name}@champion").predict(iris()[0]) == fitted.predict(iris()[0])).all()


@pytest.mark.parametrize("tracking_uri", ["http"], indirect=True)
def test_files_of_a_run_become_a_version_that_plain_http_clients_read(
    tracking_uri: str, request: pytest.FixtureRequest, tmp_path: Path, fitted: sklearn.linear_model.LogisticRegression
) -> None:
    client, name = mlflow.MlflowClient(), str(request.node.name)
    mlflow.sklearn.save_model(fitted, str(tmp_path / "saved"))
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(tmp_path / "saved"), "by-hand")
        client.create_registered_model(name)
        version = client.create_model_version(name, f"{run.info.artifact_uri}/by-hand", run.info.run_id)
    assert str(version.source).startswith("mlflow-artifacts:/")
    plain = mlflow.MlflowClient(tracking_uri.removeprefix("mltrail+"))
    assert plain.get_model_version_download_uri(name, version.version) == version.source
    mlflow.set_tracking_uri(plain.tracking_uri)
    assert (
        mlflow.sklearn.load_model(f"models:/{name}/{version.version}").predict(iris()[0]) == fitted.predict(iris()[0])
    ).all()


@pytest.mark.parametrize("tracking_uri", ["http"], indirect=True)
def test_autologging_records_a_fit(tracking_uri: str) -> None:
    # Not `mlflow.sklearn.autolog`: what was said of one library, MLflow's general switch leaves alone ever after.
    mlflow.autolog(silent=True)
    try:
        sklearn.linear_model.LogisticRegression(C=0.5, max_iter=200).fit(*iris())
    finally:
        mlflow.autolog(disable=True, silent=True)
    [run] = mlflow.search_runs(output_format="list")
    assert run.info.status == "FINISHED"
    assert run.data.params["C"] == "0.5"
    assert run.data.metrics["training_accuracy_score"] > 0.9
    assert "training_confusion_matrix.png" in [
        file.path for file in mlflow.MlflowClient().list_artifacts(run.info.run_id)
    ]
    assert run.outputs is not None
    [output] = run.outputs.model_outputs
    loaded = mlflow.pyfunc.load_model(f"models:/{output.model_id}")
    assert (loaded.predict(iris()[0]) == iris()[1]).mean() == run.data.metrics["training_accuracy_score"]
    assert run.inputs is not None
    assert len(run.inputs.dataset_inputs) == 1
