"""The trainer's SDK: log params, metrics, tags and artifacts of runs without waiting for anything.

    import mltrail

    mltrail.init("http://host:5000")  # or redis://…, or a folder; default $MLTRAIL_URI, else ./mltrail-data
    with mltrail.start_run(experiment="iris", name="gbm") as run:
        run.log_param("lr", 0.1)
        run.log_metric("loss", 0.5, step=1)

Calls append to a bounded buffer in memory and return; threads of this package put points into columns, freeze records
and send them until the log has acknowledged them. See `Run` for what they promise.
"""

from mltrail._delivery import Delivery
from mltrail._fluent import (
    active_run,
    end_run,
    flush,
    init,
    log_artifact,
    log_artifacts,
    log_metric,
    log_metrics,
    log_param,
    log_params,
    log_series,
    set_tag,
    set_tags,
    start_run,
)
from mltrail._outcome import Outcome
from mltrail._reader import RunSnapshot
from mltrail._reading import get_run, metric_history, search_runs
from mltrail._registry import delete_alias, register_model, set_alias, transition_stage
from mltrail._run import Run
from mltrail_core.errors import MltrailError

__all__ = [
    "Delivery",
    "MltrailError",
    "Outcome",
    "Run",
    "RunSnapshot",
    "active_run",
    "delete_alias",
    "end_run",
    "flush",
    "get_run",
    "init",
    "log_artifact",
    "log_artifacts",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "log_series",
    "metric_history",
    "register_model",
    "search_runs",
    "set_alias",
    "set_tag",
    "set_tags",
    "start_run",
    "transition_stage",
]
