"""A script: prints as JSON all that MLflow's client says about a store, without what an import may change.

python -m tests.cli.import_view sqlite:////tmp/x/mlflow.db
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path


def view(tracking_uri: str) -> dict[str, object]:
    """Return everything by its id; artifact roots and times of last update aside."""
    import mlflow
    from mlflow.artifacts import download_artifacts
    from mlflow.entities import ViewType

    mlflow.set_tracking_uri(tracking_uri)
    client = mlflow.MlflowClient(tracking_uri, tracking_uri)
    found: dict[str, object] = {}

    def files(root: str) -> dict[str, str]:
        with tempfile.TemporaryDirectory() as folder:
            below = Path(download_artifacts(root, dst_path=folder, tracking_uri=tracking_uri))
            return {
                path.relative_to(below).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(below.rglob("*"))
                if path.is_file()
            }

    for experiment in client.search_experiments(ViewType.ALL):
        where = f"experiment {experiment.experiment_id}"
        found[where] = [experiment.name, experiment.lifecycle_stage, experiment.tags]
        if experiment.experiment_id != "0":
            found[f"{where} began"] = experiment.creation_time
        for run in client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL, max_results=1000):
            run = client.get_run(run.info.run_id)
            info = {name: value for name, value in run.info if name not in ("artifact_uri",)}
            assert run.inputs is not None
            given = [
                (one.dataset.to_dictionary(), [(tag.key, tag.value) for tag in one.tags])
                for one in run.inputs.dataset_inputs
            ]
            models = [one.model_id for one in run.inputs.model_inputs]
            made = [(one.model_id, one.step) for one in run.outputs.model_outputs] if run.outputs else []
            histories = {
                key: sorted(
                    (m.step, m.timestamp, repr(m.value)) for m in client.get_metric_history(info["run_id"], key)
                )
                for key in run.data.metrics
            }
            kept = files(run.info.artifact_uri) if client.list_artifacts(info["run_id"]) else {}
            found[f"run {info['run_id']}"] = [
                info,
                run.data.params,
                run.data.tags,
                {k: repr(v) for k, v in run.data.metrics.items()},
                histories,
                given,
                models,
                made,
                kept,
            ]
        if experiment.lifecycle_stage == "active":
            for model in client.search_logged_models([experiment.experiment_id]):
                said = model.to_dictionary()
                tags = {key: value for key, value in said["tags"].items() if key != "mlflow.modelVersions"}
                metrics = sorted(
                    (m.key, m.step, m.timestamp, m.value, m.run_id, m.dataset_name or "", m.dataset_digest or "")
                    for m in model.metrics or []
                )
                names = ("name", "model_type", "source_run_id", "status", "creation_timestamp", "params")
                found[f"model {model.model_id}"] = [
                    *(str(said[name]) for name in names),
                    tags,
                    metrics,
                    files(model.artifact_location),
                ]
    for registered in client.search_registered_models():
        found[f"registered {registered.name}"] = [
            registered.creation_timestamp,
            registered.description or "",
            registered.tags,
            {alias: str(version) for alias, version in registered.aliases.items()},
        ]
    for version in client.search_model_versions():
        found[f"version {version.name} {version.version}"] = [
            version.creation_timestamp,
            version.description or "",
            version.tags,
            version.current_stage,
            version.run_id or "",
            version.run_link or "",
            version.source,
        ]
    return found


if __name__ == "__main__":
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    print(json.dumps(view(sys.argv[1]), default=str, sort_keys=True))
