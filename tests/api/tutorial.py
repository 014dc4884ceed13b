"""What a tutorial of MLflow does, as a script of its own: `python tutorial.py URL` prints what it saw as JSON."""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from pathlib import Path

import mlflow
import mlflow.sklearn
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

REQUIREMENTS = ["scikit-learn"]
"""Given, so that MLflow does not spend half a minute on finding them out."""


def main(url: str) -> dict[str, object]:
    """Train, log, register, load and download; return what a user would look at."""
    flowers, kinds = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(flowers, kinds)
    mlflow.set_tracking_uri(url)
    experiment = mlflow.set_experiment("tutorial")
    with mlflow.start_run(run_name="first") as run, tempfile.TemporaryDirectory() as folder:
        run_id = run.info.run_id
        mlflow.log_param("max_iter", 500)
        mlflow.log_metric("accuracy", 0.5, step=0)
        mlflow.log_metric("accuracy", 0.75, step=1)
        logged = mlflow.sklearn.log_model(
            model, name="model", registered_model_name="iris", input_example=flowers[:2], pip_requirements=REQUIREMENTS
        )
        mlflow.sklearn.log_model(model, "second", pip_requirements=REQUIREMENTS)
        mlflow.log_text("hello", "notes/hello.txt")
        mlflow.log_dict({"a": [1, 2]}, "notes/table.json")
        file = Path(folder) / "data.bin"
        file.write_bytes(bytes(range(256)) * 1000)
        mlflow.log_artifact(str(file), "raw")
        (Path(folder) / "tree" / "deep").mkdir(parents=True)
        (Path(folder) / "tree" / "deep" / "leaf").write_text("leaf")
        mlflow.log_artifacts(str(Path(folder) / "tree"), "tree")
    again = mlflow.register_model(f"runs:/{run_id}/model", "iris")

    client = mlflow.MlflowClient()
    predictions = {
        what: mlflow.pyfunc.load_model(uri).predict(flowers[::50]).tolist()
        for what, uri in {
            "version": "models:/iris/1",
            "latest": "models:/iris/latest",
            "run": f"runs:/{run_id}/model",
            "other model of the run": f"runs:/{run_id}/second",
            "logged model": f"models:/{logged.model_id}",
        }.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="", dst_path=folder)
        downloaded = {
            path.relative_to(folder).as_posix(): path.stat().st_size
            for path in Path(folder).rglob("*")
            if path.is_file()
        }
    version = client.get_model_version("iris", "1")
    outputs = client.get_run(run_id).outputs
    return {
        "predictions": predictions,
        "downloaded": downloaded,
        "listed": {
            path: [(one.path, one.is_dir, one.file_size) for one in client.list_artifacts(run_id, path)]
            for path in ("", "notes", "tree", "raw/data.bin")
        },
        "text": mlflow.artifacts.load_text(f"runs:/{run_id}/notes/hello.txt"),
        "dict": mlflow.artifacts.load_dict(f"runs:/{run_id}/notes/table.json"),
        "files of the model": sorted(one.path for one in mlflow.artifacts.list_artifacts(logged.model_uri)),
        "versions": [found.version for found in client.search_model_versions("name='iris'")],
        "registered": [found.name for found in client.search_registered_models()],
        "version": [version.version, version.current_stage, version.status, version.run_id == run_id],
        "source is the logged model": version.source == again.source == f"models:/{logged.model_id}",
        "download uri is the model's": client.get_model_version_download_uri("iris", "1")
        == client.get_logged_model(logged.model_id).artifact_location,
        "logged models": [
            [found.name, found.status, found.source_run_id == run_id]
            for found in client.search_logged_models([experiment.experiment_id])
        ],
        "outputs": sorted(one.model_id == logged.model_id for one in outputs.model_outputs) if outputs else None,
        "history": [[one.step, one.value] for one in client.get_metric_history(run_id, "accuracy")],
        "runs found": len(mlflow.search_runs([experiment.experiment_id], "metrics.accuracy > 0.7")),
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(main(sys.argv[1]), sort_keys=True))
