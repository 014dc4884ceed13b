"""MLflow's tutorial as a script: `python -m tests.acceptance.tutorial TRACKING_URI` prints what it saw, as JSON.

It is run against `mltrail server` and against `mlflow server`; ids and times are left out, the rest must be equal.
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
import mlflow.pyfunc
import mlflow.sklearn
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

MODEL_NAME = "iris-classifier"


def told(call: object) -> str:
    """Return the error code that a call is refused with."""
    assert callable(call)
    try:
        call()
    except MlflowException as error:
        return str(error.error_code)
    return "no error"


def plain_run(run: Run) -> dict[str, object]:
    """Return what a client sees of a run, without ids and times."""
    own_tags = {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.log-model")}
    return {
        "name": run.info.run_name,
        "status": run.info.status,
        "lifecycle_stage": run.info.lifecycle_stage,
        "params": run.data.params,
        "metrics": {key: str(value) for key, value in sorted(run.data.metrics.items())},
        "tags": {key: own_tags[key] for key in sorted(own_tags) if not key.startswith("mlflow.source")},
        "artifact_uri_scheme": str(run.info.artifact_uri).partition(":")[0],
        "has_ended": run.info.end_time is not None,
    }


def tutorial(uri: str) -> dict[str, object]:
    """Do what the tutorial does, and return what was seen."""
    mlflow.set_tracking_uri(uri)
    seen: dict[str, object] = {}
    experiment = mlflow.set_experiment("tutorial")
    seen["experiment"] = [experiment.name, experiment.lifecycle_stage, experiment.tags]
    data, target = load_iris(return_X_y=True, as_frame=True)
    with TemporaryDirectory() as folder, mlflow.start_run(run_name="first") as run:
        mlflow.log_param("C", 0.5)
        mlflow.log_params({"solver": "lbfgs", "max_iter": 200})
        model = LogisticRegression(C=0.5, max_iter=200).fit(data, target)
        for step in range(10):
            mlflow.log_metric("loss", 1.0 / (step + 1), step=step)
        mlflow.log_metrics({"accuracy": model.score(data, target), "nan": math.nan}, step=3)
        mlflow.set_tag("team", "vision")
        file = Path(folder) / "notes.txt"
        file.write_text("an artifact\n")
        mlflow.log_artifact(str(file))
        mlflow.log_artifact(str(file), artifact_path="deep/er")
        mlflow.log_text("text", "texts/a.txt")
        mlflow.log_dict({"a": [1, 2]}, "dicts/a.json")
        # Named, because finding out what a model imports starts a Python that loads it, and never talks to the server.
        needs = ["scikit-learn"]
        mlflow.sklearn.log_model(
            model, name="model", registered_model_name=MODEL_NAME, input_example=data[:2], pip_requirements=needs
        )
        refused = told(lambda: mlflow.log_param("C", 0.7))
    with mlflow.start_run(run_name="second", nested=False) as second:
        mlflow.log_metric("loss", 0.01, step=0)
        mlflow.log_param("C", 9)
    client = MlflowClient()
    seen["changed_param"] = refused
    seen["first"] = plain_run(client.get_run(run.info.run_id))
    seen["history"] = [[m.key, m.value, m.step] for m in client.get_metric_history(run.info.run_id, "loss")]
    seen["artifacts"] = sorted([f.path, f.is_dir, f.file_size] for f in client.list_artifacts(run.info.run_id))
    seen["deep"] = [[f.path, f.is_dir, f.file_size] for f in client.list_artifacts(run.info.run_id, "deep/er")]
    seen["text"] = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/texts/a.txt")
    found = mlflow.search_runs(filter_string="metrics.loss < 0.5 and params.C = '0.5'", order_by=["metrics.loss ASC"])
    seen["search"] = found[["params.C", "metrics.loss", "tags.team", "status"]].values.tolist()
    every = mlflow.search_runs(order_by=["metrics.loss ASC"])
    seen["order"] = every["tags.mlflow.runName"].tolist()
    version = client.get_model_version(MODEL_NAME, "1")
    seen["version"] = [version.version, version.status, version.current_stage, version.run_id == run.info.run_id]
    for model_uri in (f"models:/{MODEL_NAME}/1", f"runs:/{run.info.run_id}/model"):
        loaded = mlflow.pyfunc.load_model(model_uri)
        seen[f"predictions of {model_uri.partition(':')[0]}"] = loaded.predict(data)[:50:10].tolist()
    client.delete_run(second.info.run_id)
    seen["after delete"] = mlflow.search_runs()["tags.mlflow.runName"].tolist()
    seen["write to deleted"] = told(lambda: client.log_metric(second.info.run_id, "loss", 1.0))
    seen["unknown run"] = told(lambda: client.get_run("0" * 32))
    seen["bad filter"] = told(lambda: mlflow.search_runs(filter_string="metrics.loss <<< 3"))
    seen["taken name"] = told(lambda: client.create_experiment("tutorial"))
    return seen


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(tutorial(sys.argv[1]), indent=1, sort_keys=True))
