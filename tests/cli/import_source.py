"""A script: fills an MLflow store with every kind of thing that can be imported, through MLflow's own client.

python -m tests.cli.import_source sqlite:////tmp/x/mlflow.db /tmp/x/artifacts 200
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
from pathlib import Path

BEGAN_MS = 1_600_000_000_000


def fill(tracking_uri: str, artifacts: str, run_count: int) -> None:
    """Make experiments, runs, logged models and a registry at `tracking_uri`."""
    import mlflow
    from mlflow.entities import (
        Dataset,
        DatasetInput,
        InputTag,
        LoggedModelInput,
        LoggedModelOutput,
        LoggedModelParameter,
        Metric,
        Param,
        RunTag,
        ViewType,
    )
    from mlflow.store.tracking.file_store import FileStore

    client = mlflow.MlflowClient(tracking_uri)
    store = client._tracking_client.store
    client.set_experiment_tag("0", "purpose", "the default one")
    located = {} if isinstance(store, FileStore) else {"artifact_location": f"{artifacts}/vision"}
    vision = client.create_experiment("vision", **located, tags={"team": "ä-team"})
    gone = client.create_experiment("gone")
    files = Path(tempfile.mkdtemp())
    (files / "sub").mkdir()
    for n in range(run_count):
        experiment = ("0", vision, gone)[0 if n % 10 == 0 else 2 if n % 10 == 9 else 1]
        run = client.create_run(
            experiment,
            start_time=BEGAN_MS + n * 1000,
            tags={"kind": f"k{n % 3}", "mlflow.user": "ann"},
            run_name=f"run {n}",
        )
        run_id = run.info.run_id
        metrics = [
            Metric("loss", 1 / (step + 1) if step != 3 else math.nan, BEGAN_MS + n * 1000 + step, step)
            for step in range(20)
        ]
        metrics += [Metric("val/acc", n / 7, BEGAN_MS + 5, step) for step in range(-1, 3)]
        metrics += [Metric("peak", math.inf if n % 2 else 1e300, BEGAN_MS, 0)]
        params = [Param("lr", str(0.1 * n)), Param("empty", ""), Param("long", "v" * 500)]
        client.log_batch(run_id, metrics, params, [RunTag("note", f"n°{n}\nsecond line")])
        if n % 4 == 0:
            data = Dataset(f"data{n % 3}", f"digest{n % 3}", "local", '{"path": "x"}', '{"columns": []}', None)
            client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
        if n % 5 == 0:
            (files / "sub" / "täble.csv").write_text("a,b\n" * n)
            (files / "empty.txt").write_text("")
            client.log_artifacts(run_id, str(files), "out" if n % 2 else None)
        if n % 20 == 1 and experiment == vision:
            model = store.create_logged_model(
                vision, f"model{n}", run_id, [RunTag("stage", "draft")], [LoggedModelParameter("depth", str(n))], "tree"
            )
            (files / "MLmodel").write_text(f"flavor: {n}")
            client.log_model_artifacts(model.model_id, str(files))
            (files / "MLmodel").unlink()
            client.finalize_logged_model(model.model_id, "READY")
            client.log_outputs(run_id, [LoggedModelOutput(model.model_id, n)])
            client.log_batch(
                run_id,
                [Metric("eval", 0.5, BEGAN_MS, 7, model_id=model.model_id, dataset_name="d", dataset_digest="1")],
            )
            reader = client.create_run(vision, start_time=BEGAN_MS)
            client.log_inputs(reader.info.run_id, models=[LoggedModelInput(model.model_id)])
            client.log_batch(reader.info.run_id, [Metric("eval", 0.25, BEGAN_MS + 1, 8, model_id=model.model_id)])
            if n == 1:
                client.create_registered_model("iris", {"owner": "ann"}, "the iris model")
            client.create_model_version(
                "iris", f"models:/{model.model_id}", run_id, {"n": str(n)}, model_id=model.model_id, description=f"d{n}"
            )
        if n % 7 != 3:
            client.set_terminated(run_id, ("FINISHED", "FAILED", "KILLED")[n % 3], BEGAN_MS + n * 1000 + 500)
        if n % 11 == 5:
            client.delete_run(run_id)
    client.create_registered_model("wine")
    client.create_model_version("wine", f"{artifacts}/elsewhere", run_link="http://other/run")
    if run_count > 60:
        client.delete_model_version("iris", "2")
        client.transition_model_version_stage("iris", "1", "Production")
        client.transition_model_version_stage("iris", "3", "Staging")
        client.set_registered_model_alias("iris", "champion", "3")
    client.delete_experiment(gone)
    found = client.search_experiments(ViewType.ALL)
    print(tracking_uri, [experiment.name for experiment in found], file=sys.stderr)


if __name__ == "__main__":
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    fill(sys.argv[1], sys.argv[2], int(sys.argv[3]))
