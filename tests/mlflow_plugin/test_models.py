"""Models, the registry and autologging over the plug-in's URIs."""

from __future__ import annotations

from pathlib import Path

import mlflow
import mlflow.sklearn
import pytest
from mlflow import MlflowClient
from mlflow.data.numpy_dataset import from_numpy
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow and scikit-learn about each other
DATA, TARGET = load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def fitted() -> LogisticRegression:
    return LogisticRegression(max_iter=300).fit(DATA, TARGET)


@pytest.mark.parametrize("tracking_uri", ["redis"], indirect=True)
def test_a_model_is_logged_registered_and_loaded(
    tracking_uri: str, fitted: LogisticRegression, request: pytest.FixtureRequest
) -> None:
    name, client = str(request.node.name), MlflowClient()
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(
            fitted,
            name="model",
            registered_model_name=name,
            signature=mlflow.models.infer_signature(DATA, TARGET),
        )
        mlflow.log_metric("auc", 0.9, model_id=info.model_id, dataset=from_numpy(DATA, name="iris"))
        linked = client.get_logged_model(info.model_id).metrics
    assert linked is not None
    assert [(metric.key, metric.value, metric.dataset_name) for metric in linked] == [("auc", 0.9, "iris")]
    assert mlflow.get_run(run.info.run_id).data.metrics == {"auc": 0.9}
    for uri in (info.model_uri, f"runs:/{run.info.run_id}/model", f"models:/{name}/1"):
        assert (mlflow.pyfunc.load_model(uri).predict(DATA) == fitted.predict(DATA)).all()
    assert mlflow.register_model(info.model_uri, name).version in ("2", 2)
    client.set_registered_model_alias(name, "champion", "2")
    assert (mlflow.sklearn.load_model(f"models:/{name}@champion").predict(DATA) == fitted.predict(DATA)).all()


@pytest.mark.parametrize("tracking_uri", ["http"], indirect=True)
def test_files_of_a_run_become_a_version_that_plain_http_clients_read(
    tracking_uri: str, request: pytest.FixtureRequest, tmp_path: Path, fitted: LogisticRegression
) -> None:
    client, name = MlflowClient(), str(request.node.name)
    mlflow.sklearn.save_model(fitted, str(tmp_path / "saved"))
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(tmp_path / "saved"), "by-hand")
        client.create_registered_model(name)
        version = client.create_model_version(name, f"{run.info.artifact_uri}/by-hand", run.info.run_id)
    assert str(version.source).startswith("mlflow-artifacts:/")
    plain = MlflowClient(tracking_uri.removeprefix("mltrail+"))
    assert plain.get_model_version_download_uri(name, version.version) == version.source
    mlflow.set_tracking_uri(plain.tracking_uri)
    assert (mlflow.sklearn.load_model(f"models:/{name}/{version.version}").predict(DATA) == fitted.predict(DATA)).all()


@pytest.mark.parametrize("tracking_uri", ["http"], indirect=True)
def test_autologging_records_a_fit(tracking_uri: str) -> None:
    # Not `mlflow.sklearn.autolog`: what was said of one library, MLflow's general switch leaves alone ever after.
    mlflow.autolog(silent=True)
    try:
        LogisticRegression(C=0.5, max_iter=200).fit(DATA, TARGET)
    finally:
        mlflow.autolog(disable=True, silent=True)
    [run] = mlflow.search_runs(output_format="list")
    assert run.info.status == "FINISHED"
    assert run.data.params["C"] == "0.5"
    assert run.data.metrics["training_accuracy_score"] > 0.9
    assert "training_confusion_matrix.png" in [file.path for file in MlflowClient().list_artifacts(run.info.run_id)]
    assert run.outputs is not None
    [output] = run.outputs.model_outputs
    loaded = mlflow.pyfunc.load_model(f"models:/{output.model_id}")
    assert (loaded.predict(DATA) == TARGET).mean() == run.data.metrics["training_accuracy_score"]
    assert run.inputs is not None
    assert len(run.inputs.dataset_inputs) == 1
