"""How MLflow's client is told about a run: the JSON of `mlflow.protos.service_pb2.Run`."""

from __future__ import annotations

from mltrail_api.search.view import DatasetInput, RunView

Json = dict[str, object]


def run_json(run: RunView) -> Json:
    """Return a run with all that belongs to it; what is empty is left out, as protobuf-JSON does."""
    metrics = [
        {"key": metric.key, "value": metric.value, "timestamp": metric.time_us // 1000, "step": metric.step}
        for metric in run.metrics
    ]
    return {
        "info": info_json(run),
        "data": _filled(metrics=metrics, params=pairs_json(run.params), tags=pairs_json(run.tags)),
        "inputs": _filled(
            dataset_inputs=[_dataset_json(dataset) for dataset in run.dataset_inputs],
            model_inputs=[{"model_id": model_id} for model_id in run.model_inputs],
        ),
        "outputs": _filled(
            model_outputs=[{"model_id": output.model_id, "step": output.step} for output in run.model_outputs]
        ),
    }


def info_json(run: RunView) -> Json:
    """Return the run without its data."""
    info: Json = {
        "run_uuid": run.run_id,
        "experiment_id": run.experiment_id,
        "run_name": run.name,
        "user_id": run.user,
        "status": run.mlflow_status,
        "start_time": run.started_us // 1000,
        "artifact_uri": run.artifact_uri,
        "lifecycle_stage": "deleted" if run.is_deleted else "active",
        "run_id": run.run_id,
    }
    if run.ended_us is not None:
        info["end_time"] = run.ended_us // 1000
    return info


def pairs_json(pairs: tuple[tuple[str, str], ...]) -> list[Json]:
    """Return params or tags."""
    return [{"key": key, "value": value} for key, value in pairs]


def _dataset_json(given: DatasetInput) -> Json:
    dataset = {
        "name": given.name,
        "digest": given.digest,
        "source_type": given.source_type,
        "source": given.source,
        **_filled(schema=given.schema, profile=given.profile),
    }
    return {**_filled(tags=pairs_json(tuple(given.tags.items()))), "dataset": dataset}


def _filled(**fields: object) -> Json:
    return {name: value for name, value in fields.items() if value}
