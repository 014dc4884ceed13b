"""The whole routing table of MLflow's protocol: (method, path below the prefix) → what is read and who answers.

Stock serves every endpoint under `/api/…` for clients and `/ajax-api/…` for its pages, as version 2.0 or 3.0
(`mlflow.server.handlers.get_endpoints`).
"""

from __future__ import annotations

from typing import TypeVar

from mltrail_api.mlflow.artifacts import endpoints as artifacts
from mltrail_api.mlflow.artifacts import multipart_endpoints as multipart
from mltrail_api.mlflow.artifacts import presigned_endpoints as presigned
from mltrail_api.mlflow.artifacts import requests as artifact_requests
from mltrail_api.mlflow.endpoint import Endpoint, Handler, RawEndpoint
from mltrail_api.mlflow.experiments import endpoints as experiments
from mltrail_api.mlflow.experiments import requests as experiment_requests
from mltrail_api.mlflow.experiments import search_endpoints as experiment_search
from mltrail_api.mlflow.logged_models import artifact_endpoints as model_artifacts
from mltrail_api.mlflow.logged_models import endpoints as models
from mltrail_api.mlflow.logged_models import requests as model_requests
from mltrail_api.mlflow.logged_models import search_endpoints as model_search
from mltrail_api.mlflow.metrics import endpoints as metrics
from mltrail_api.mlflow.metrics import requests as metric_requests
from mltrail_api.mlflow.protocol import AnyRoute, RoutingTable
from mltrail_api.mlflow.registry import alias_endpoints as aliases
from mltrail_api.mlflow.registry import endpoints as registry
from mltrail_api.mlflow.registry import requests as registry_requests
from mltrail_api.mlflow.registry import search_endpoints as registry_search
from mltrail_api.mlflow.registry import version_change_endpoints as version_changes
from mltrail_api.mlflow.registry import version_endpoints as versions
from mltrail_api.mlflow.runs import endpoints as runs
from mltrail_api.mlflow.runs import log_endpoints as run_log
from mltrail_api.mlflow.runs import model_record
from mltrail_api.mlflow.runs import requests as run_requests
from mltrail_api.mlflow.runs import search_endpoints as run_search
from mltrail_api.mlflow.server import endpoints as server
from mltrail_api.mlflow.webhooks import endpoints as webhooks
from mltrail_api.mlflow.webhooks import requests as webhook_requests
from mltrail_api.mlflow.wire import Message

PREFIXES = ("/api/", "/ajax-api/")
M = TypeVar("M", bound=Message)


def json(model: type[M], handler: Handler[M]) -> AnyRoute:
    """Return a row of the table for an endpoint that reads and answers JSON."""
    return Endpoint(model, handler)  # type: ignore[arg-type]  # the pair fits; the table forgets which message


VERSION_2: RoutingTable = {
    ("POST", "/experiments/create"): json(experiment_requests.CreateExperiment, experiments.create),
    ("GET", "/experiments/get"): json(experiment_requests.ExperimentById, experiments.get),
    ("GET", "/experiments/get-by-name"): json(experiment_requests.ExperimentByName, experiments.get_by_name),
    ("POST", "/experiments/update"): json(experiment_requests.UpdateExperiment, experiments.update),
    ("POST", "/experiments/delete"): json(experiment_requests.ExperimentById, experiments.delete),
    ("POST", "/experiments/restore"): json(experiment_requests.ExperimentById, experiments.restore),
    ("POST", "/experiments/set-experiment-tag"): json(experiment_requests.SetExperimentTag, experiments.set_tag),
    ("POST", "/experiments/delete-experiment-tag"): json(
        experiment_requests.DeleteExperimentTag, experiments.delete_tag
    ),
    ("GET", "/experiments/search"): json(experiment_requests.SearchExperiments, experiment_search.search),
    ("POST", "/experiments/search"): json(experiment_requests.SearchExperiments, experiment_search.search),
    ("POST", "/experiments/search-datasets"): json(
        experiment_requests.SearchDatasets, experiment_search.search_datasets
    ),
    ("POST", "/runs/create"): json(run_requests.CreateRun, runs.create),
    ("GET", "/runs/get"): json(run_requests.RunById, runs.get),
    ("POST", "/runs/update"): json(run_requests.UpdateRun, runs.update),
    ("POST", "/runs/delete"): json(run_requests.RunById, runs.delete),
    ("POST", "/runs/restore"): json(run_requests.RunById, runs.restore),
    ("POST", "/runs/search"): json(run_requests.SearchRuns, run_search.search),
    ("POST", "/runs/log-metric"): json(run_requests.LogMetric, run_log.log_metric),
    ("POST", "/runs/log-parameter"): json(run_requests.LogParam, run_log.log_param),
    ("POST", "/runs/log-batch"): json(run_requests.LogBatch, run_log.log_batch),
    ("POST", "/runs/set-tag"): json(run_requests.SetTag, run_log.set_tag),
    ("POST", "/runs/delete-tag"): json(run_requests.DeleteTag, run_log.delete_tag),
    ("POST", "/runs/log-inputs"): json(run_requests.LogInputs, run_log.log_inputs),
    ("POST", "/runs/outputs"): json(run_requests.LogOutputs, run_log.log_outputs),
    ("POST", "/runs/log-model"): json(run_requests.LogModel, model_record.log_model),
    ("GET", "/metrics/get-history"): json(metric_requests.GetHistory, metrics.get_history),
    ("GET", "/metrics/get-history-bulk"): json(metric_requests.GetHistoryBulk, metrics.get_history_bulk),
    ("GET", "/metrics/get-history-bulk-interval"): json(
        metric_requests.GetHistoryBulkInterval, metrics.get_history_bulk_interval
    ),
    ("GET", "/artifacts/list"): json(artifact_requests.ListArtifacts, artifacts.list_run),
    ("POST", "/artifacts/presigned-upload-url"): json(
        artifact_requests.CreatePresignedUploadUrl, presigned.create_upload_url
    ),
    ("POST", "/artifacts/presigned-download-url"): json(
        artifact_requests.CreatePresignedDownloadUrl, presigned.create_download_url
    ),
    ("POST", "/logged-models"): json(model_requests.CreateLoggedModel, models.create),
    ("POST", "/logged-models/search"): json(model_requests.SearchLoggedModels, model_search.search),
    ("GET", "/logged-models/{model_id}"): json(model_requests.LoggedModelById, models.get),
    ("DELETE", "/logged-models/{model_id}"): json(model_requests.LoggedModelById, models.delete),
    ("PATCH", "/logged-models/{model_id}"): json(model_requests.FinalizeLoggedModel, models.finalize),
    ("POST", "/logged-models/{model_id}/params"): json(model_requests.LogLoggedModelParams, models.log_params),
    ("PATCH", "/logged-models/{model_id}/tags"): json(model_requests.SetLoggedModelTags, models.set_tags),
    ("DELETE", "/logged-models/{model_id}/tags/{tag_key:path}"): json(
        model_requests.DeleteLoggedModelTag, models.delete_tag
    ),
    ("GET", "/logged-models/{model_id}/artifacts/directories"): json(
        model_requests.ListLoggedModelArtifacts, model_artifacts.list_artifacts
    ),
    ("GET", "/logged-models/{model_id}/artifacts/files"): RawEndpoint(model_artifacts.get_file),
    ("POST", "/registered-models/create"): json(registry_requests.CreateRegisteredModel, registry.create),
    ("GET", "/registered-models/get"): json(registry_requests.RegisteredModelByName, registry.get),
    ("GET", "/registered-models/search"): json(registry_requests.SearchRegistry, registry_search.search_models),
    ("GET", "/registered-models/get-latest-versions"): json(
        registry_requests.GetLatestVersions, registry.get_latest_versions
    ),
    ("POST", "/registered-models/get-latest-versions"): json(
        registry_requests.GetLatestVersions, registry.get_latest_versions
    ),
    ("POST", "/registered-models/rename"): json(registry_requests.RenameRegisteredModel, registry.rename),
    ("PATCH", "/registered-models/update"): json(registry_requests.UpdateRegisteredModel, registry.update),
    ("DELETE", "/registered-models/delete"): json(registry_requests.RegisteredModelByName, registry.delete),
    ("POST", "/registered-models/set-tag"): json(registry_requests.SetRegisteredModelTag, registry.set_tag),
    ("DELETE", "/registered-models/delete-tag"): json(registry_requests.DeleteRegisteredModelTag, registry.delete_tag),
    ("POST", "/registered-models/alias"): json(registry_requests.SetAlias, aliases.set_alias),
    ("DELETE", "/registered-models/alias"): json(registry_requests.AliasByName, aliases.delete_alias),
    ("GET", "/registered-models/alias"): json(registry_requests.AliasByName, aliases.get_by_alias),
    ("PATCH", "/model-versions/update"): json(registry_requests.UpdateModelVersion, version_changes.update),
    ("POST", "/model-versions/transition-stage"): json(
        registry_requests.TransitionStage, version_changes.transition_stage
    ),
    ("DELETE", "/model-versions/delete"): json(registry_requests.ModelVersionByNumber, version_changes.delete),
    ("POST", "/model-versions/set-tag"): json(registry_requests.SetModelVersionTag, version_changes.set_tag),
    ("DELETE", "/model-versions/delete-tag"): json(registry_requests.DeleteModelVersionTag, version_changes.delete_tag),
    ("POST", "/model-versions/create"): json(registry_requests.CreateModelVersion, versions.create),
    ("GET", "/model-versions/get"): json(registry_requests.ModelVersionByNumber, versions.get),
    ("GET", "/model-versions/get-download-uri"): json(
        registry_requests.ModelVersionByNumber, versions.get_download_uri
    ),
    ("GET", "/model-versions/search"): json(registry_requests.SearchRegistry, registry_search.search_versions),
    ("POST", "/webhooks"): json(webhook_requests.CreateWebhook, webhooks.create),
    ("GET", "/webhooks"): json(webhook_requests.ListWebhooks, webhooks.list_webhooks),
    ("GET", "/webhooks/{webhook_id}"): json(webhook_requests.WebhookById, webhooks.get),
    ("PATCH", "/webhooks/{webhook_id}"): json(webhook_requests.UpdateWebhook, webhooks.update),
    ("DELETE", "/webhooks/{webhook_id}"): json(webhook_requests.WebhookById, webhooks.delete),
    ("POST", "/webhooks/{webhook_id}/test"): json(webhook_requests.TestWebhook, webhooks.send_test),
}
"""Below `/api/2.0/mlflow` and `/ajax-api/2.0/mlflow`."""

VERSION_3: RoutingTable = {
    ("GET", "/server-info"): json(server.ServerInfo, server.server_info),
}
"""Below `/api/3.0/mlflow` and `/ajax-api/3.0/mlflow`."""

ARTIFACTS: RoutingTable = {
    ("GET", "/artifacts"): json(artifact_requests.ListProxied, artifacts.list_proxied),
    ("PUT", "/artifacts/{path:path}"): RawEndpoint(artifacts.upload),
    ("GET", "/artifacts/{path:path}"): RawEndpoint(artifacts.download),
    ("HEAD", "/artifacts/{path:path}"): RawEndpoint(artifacts.download),
    ("DELETE", "/artifacts/{path:path}"): RawEndpoint(artifacts.delete),
    ("GET", "/presigned/{path:path}"): json(artifact_requests.GetPresignedDownloadUrl, presigned.get_download_url),
    ("POST", "/mpu/create/{directory:path}"): json(artifact_requests.CreateMultipartUpload, multipart.create),
    ("POST", "/mpu/complete/{directory:path}"): json(artifact_requests.CompleteMultipartUpload, multipart.complete),
    ("POST", "/mpu/abort/{directory:path}"): json(artifact_requests.AbortMultipartUpload, multipart.abort),
}
"""Below `/api/2.0/mlflow-artifacts` and `/ajax-api/2.0/mlflow-artifacts`."""

PAGE_LINKS: RoutingTable = {
    ("GET", "/get-artifact"): RawEndpoint(artifacts.get_run_file),
    ("HEAD", "/get-artifact"): RawEndpoint(artifacts.get_run_file),
    ("GET", "/model-versions/get-artifact"): RawEndpoint(versions.get_file),
    ("HEAD", "/model-versions/get-artifact"): RawEndpoint(versions.get_file),
}
"""At the root: what MLflow's pages let browsers download."""


def whole_table() -> RoutingTable:
    """Return every row under every prefix it is served under."""
    parts = {"2.0/mlflow": VERSION_2, "3.0/mlflow": VERSION_3, "2.0/mlflow-artifacts": ARTIFACTS}
    prefixed = {
        (method, f"{prefix}{part}{path}"): route
        for part, table in parts.items()
        for (method, path), route in table.items()
        for prefix in PREFIXES
    }
    return {**prefixed, **PAGE_LINKS}
