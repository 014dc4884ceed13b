"""How MLflow's client is told about a logged model (`mlflow.protos.service_pb2.LoggedModel`)."""

from __future__ import annotations

import json

from mltrail_api.mlflow.logged_models.queries import ModelMetric, ModelView

Json = dict[str, object]
VERSIONS_TAG = "mlflow.modelVersions"
"""MLflow keeps in this tag which versions a model was registered as; here the registry is asked instead."""


def model_json(model: ModelView) -> Json:
    """Return the JSON of a logged model."""
    tags = dict(model.tags)
    if model.versions:
        tags[VERSIONS_TAG] = json.dumps([{"name": name, "version": str(number)} for name, number in model.versions])
    info: Json = {
        "model_id": model.model_id,
        "experiment_id": model.experiment_id,
        "name": model.name,
        "creation_timestamp_ms": model.created_us // 1000,
        "last_updated_timestamp_ms": model.updated_us // 1000,
        "artifact_uri": model.artifact_uri,
        "status": model.status,
        "model_type": model.model_type or "",
        "source_run_id": model.source_run_id or "",
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
    }
    return {
        "info": info,
        "data": {
            "params": [{"key": key, "value": value} for key, value in model.params],
            "metrics": [_metric_json(model.model_id, metric) for metric in model.metrics],
        },
    }


def _metric_json(model_id: str, metric: ModelMetric) -> Json:
    known: Json = {
        "key": metric.key,
        "value": metric.value,
        "timestamp": metric.time_us // 1000,
        "step": metric.step,
        "model_id": model_id,
        "run_id": metric.run_id,
    }
    if metric.dataset_name:
        known["dataset_name"] = metric.dataset_name
    if metric.dataset_digest:
        known["dataset_digest"] = metric.dataset_digest
    return known
