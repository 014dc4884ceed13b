"""Models through the fluent API: logged, registered, loaded by version, alias and stage, copied, downloaded."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import mlflow
import numpy as np
import pytest
import sklearn
from numpy.typing import NDArray

from tests.ecosystem.conftest import Tracking

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow and scikit-learn about each other


@cache
def iris() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return what is known of each flower, and its kind."""
    data, target = sklearn.datasets.load_iris(return_X_y=True)
    return data, target


def fitted(strength: float) -> sklearn.linear_model.LogisticRegression:
    return sklearn.linear_model.LogisticRegression(C=strength, max_iter=300).fit(*iris())


def logged(strength: float, *, registered_as: str | None = None) -> mlflow.models.model.ModelInfo:
    """Log a model in a run of its own."""
    with mlflow.start_run():
        info: mlflow.models.model.ModelInfo = mlflow.sklearn.log_model(
            fitted(strength),
            name="model",
            registered_model_name=registered_as,
            signature=mlflow.models.infer_signature(*iris()),
            metadata={"strength": strength},
        )
    return info


def predicted(uri: str) -> NDArray[np.int64]:
    """Return what the model that `uri` names says of the data."""
    found: NDArray[np.int64] = mlflow.pyfunc.load_model(uri).predict(iris()[0])
    return found


def test_a_model_is_loaded_by_version_by_alias_and_by_stage(tracking: Tracking) -> None:
    weak, strong = logged(1e-4, registered_as="iris"), logged(1.0, registered_as="iris")
    assert [str(info.registered_model_version) for info in (weak, strong)] == ["1", "2"]
    says_weak, says_strong = fitted(1e-4).predict(iris()[0]), fitted(1.0).predict(iris()[0])
    assert (says_weak != says_strong).any()
    assert (predicted("models:/iris/1") == says_weak).all()
    assert (predicted("models:/iris/latest") == says_strong).all()
    tracking.client.set_registered_model_alias("iris", "champion", "1")
    assert (predicted("models:/iris@champion") == says_weak).all()
    tracking.client.set_registered_model_alias("iris", "champion", "2")
    assert (predicted("models:/iris@champion") == says_strong).all()
    tracking.client.transition_model_version_stage("iris", "1", "Production")
    assert (predicted("models:/iris/Production") == says_weak).all()
    tracking.client.transition_model_version_stage("iris", "2", "Production", archive_existing_versions=True)
    assert (predicted("models:/iris/Production") == says_strong).all()
    assert tracking.client.get_model_version("iris", "1").current_stage == "Archived"
    assert (mlflow.sklearn.load_model(weak.model_uri).predict(iris()[0]) == says_weak).all()
    tracking.client.delete_registered_model_alias("iris", "champion")
    with pytest.raises(mlflow.MlflowException, match="champion"):
        predicted("models:/iris@champion")


def test_a_model_of_a_run_is_registered_later(tracking: Tracking) -> None:
    info = logged(0.5)
    version = mlflow.register_model(f"runs:/{info.run_id}/model", "later", tags={"from": "a run"})
    assert (version.version, version.status, version.tags) == ("1", "READY", {"from": "a run"})
    again = mlflow.register_model(info.model_uri, "later")
    found = tracking.client.get_model_version("later", again.version)
    assert (found.version, found.run_id, found.source) == ("2", info.run_id, info.model_uri)
    assert (predicted("models:/later/1") == predicted("models:/later/2")).all()


def test_a_version_is_copied_to_another_model(tracking: Tracking) -> None:
    info = logged(0.25, registered_as="staging-model")
    copy = tracking.client.copy_model_version("models:/staging-model/1", "production-model")
    assert (copy.name, copy.version, copy.run_id) == ("production-model", "1", info.run_id)
    assert copy.source == "models:/staging-model/1"
    assert (predicted("models:/production-model/1") == predicted("models:/staging-model/1")).all()
    tracking.client.set_registered_model_alias(copy.name, "best", "1")
    second = tracking.client.copy_model_version(f"models:/{copy.name}@best", "production-model")
    assert (second.version, second.source) == ("2", "models:/production-model/1")


def test_the_client_keeps_a_registry(tracking: Tracking) -> None:
    client = tracking.client
    client.create_registered_model("kept", tags={"team": "vision"}, description="what it is for")
    info = logged(0.75)
    for number in range(3):
        client.create_model_version("kept", info.model_uri, description=f"number {number + 1}", model_id=info.model_id)
    client.set_model_version_tag("kept", "1", "validated", "yes")
    client.update_model_version("kept", "2", description="the second")
    client.transition_model_version_stage("kept", "2", "Staging")
    client.delete_model_version("kept", "3")
    latest = client.get_latest_versions("kept")
    assert sorted((version.current_stage, version.version) for version in latest) == [("None", "1"), ("Staging", "2")]
    found = client.search_model_versions("name = 'kept'", order_by=["version_number ASC"])
    assert [version.version for version in found] == ["1", "2"]
    [validated] = client.search_model_versions("name = 'kept' and tags.validated = 'yes'")
    assert validated.version == "1"
    assert client.get_model_version("kept", "2").description == "the second"
    location = client.get_logged_model(info.model_id).artifact_location
    assert client.get_model_version_download_uri("kept", "1") == location
    client.set_registered_model_tag("kept", "team", "audio")
    client.rename_registered_model("kept", "renamed")
    [model] = client.search_registered_models("name LIKE 'rename%' and tags.team = 'audio'")
    assert (model.name, model.description) == ("renamed", "what it is for")
    assert mlflow.search_model_versions(filter_string="name = 'renamed'")[0].name == "renamed"
    client.delete_registered_model("renamed")
    with pytest.raises(mlflow.MlflowException, match="renamed") as raised:
        client.get_registered_model("renamed")
    assert raised.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_a_models_files_and_description_are_fetched(tracking: Tracking, tmp_path: Path) -> None:
    info = logged(0.5, registered_as="described")
    for uri in ("models:/described/1", info.model_uri, f"runs:/{info.run_id}/model"):
        found = mlflow.models.get_model_info(uri)
        assert (found.model_id, found.run_id, found.metadata) == (info.model_id, info.run_id, {"strength": 0.5})
        assert found.signature == info.signature
        assert set(found.flavors) == {"python_function", "sklearn"}
        place = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(tmp_path / uri.replace("/", "_"))))
        assert {path.name for path in place.iterdir()} >= {"MLmodel", "conda.yaml", "requirements.txt"}
        assert f"model_id: {info.model_id}\n" in (place / "MLmodel").read_text()


@pytest.mark.thorough  # compat compares the search of logged models with stock
def test_logged_models_are_found_by_what_they_score(tracking: Tracking) -> None:
    for strength in (1e-4, 1.0):
        info = logged(strength)
        with mlflow.start_run(info.run_id):
            mlflow.log_metric("accuracy", fitted(strength).score(*iris()), model_id=info.model_id)
    [best, worse] = mlflow.search_logged_models(
        experiment_ids=[tracking.experiment_id],
        order_by=[{"field_name": "metrics.accuracy", "ascending": False}],
        output_format="list",
    )
    assert best.model_id == info.model_id
    assert [metric.value for metric in worse.metrics or ()] < [metric.value for metric in best.metrics or ()]
    mlflow.set_logged_model_tags(best.model_id, {"picked": "yes"})
    [picked] = mlflow.search_logged_models([tracking.experiment_id], "tags.picked = 'yes'", output_format="list")
    assert (picked.model_id, picked.status.value, picked.name) == (best.model_id, "READY", "model")
    assert picked.source_run_id == info.run_id
