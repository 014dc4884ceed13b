"""The whole routing table of MLflow's protocol: (method, path below the prefix) → what is read and who answers.

Stock serves every endpoint under `/api/…` for clients and `/ajax-api/…` for its pages, as version 2.0 or 3.0
(`mlflow.server.handlers.get_endpoints`).
"""

from __future__ import annotations

from typing import TypeVar

from mltrail_api.mlflow.endpoint import Endpoint, Handler
from mltrail_api.mlflow.experiments import endpoints as experiments
from mltrail_api.mlflow.experiments import requests as experiment_requests
from mltrail_api.mlflow.experiments import search_endpoints as experiment_search
from mltrail_api.mlflow.metrics import endpoints as metrics
from mltrail_api.mlflow.metrics import requests as metric_requests
from mltrail_api.mlflow.protocol import AnyRoute, RoutingTable
from mltrail_api.mlflow.runs import endpoints as runs
from mltrail_api.mlflow.runs import log_endpoints as run_log
from mltrail_api.mlflow.runs import requests as run_requests
from mltrail_api.mlflow.runs import search_endpoints as run_search
from mltrail_api.mlflow.server import endpoints as server
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
    ("GET", "/metrics/get-history"): json(metric_requests.GetHistory, metrics.get_history),
    ("GET", "/metrics/get-history-bulk"): json(metric_requests.GetHistoryBulk, metrics.get_history_bulk),
    ("GET", "/metrics/get-history-bulk-interval"): json(
        metric_requests.GetHistoryBulkInterval, metrics.get_history_bulk_interval
    ),
}
"""Below `/api/2.0/mlflow` and `/ajax-api/2.0/mlflow`."""

VERSION_3: RoutingTable = {
    ("GET", "/server-info"): json(server.ServerInfo, server.server_info),
}
"""Below `/api/3.0/mlflow` and `/ajax-api/3.0/mlflow`."""

ARTIFACTS: RoutingTable = {}
"""Below `/api/2.0/mlflow-artifacts` and `/ajax-api/2.0/mlflow-artifacts`."""


def whole_table() -> RoutingTable:
    """Return every row under every prefix it is served under."""
    parts = {"2.0/mlflow": VERSION_2, "3.0/mlflow": VERSION_3, "2.0/mlflow-artifacts": ARTIFACTS}
    return {
        (method, f"{prefix}{part}{path}"): route
        for part, table in parts.items()
        for (method, path), route in table.items()
        for prefix in PREFIXES
    }
