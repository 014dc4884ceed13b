"""Runs with all that belongs to them, logged through the stock client as a training would."""

from __future__ import annotations

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from tests.benchmarks.shapes import START_MS, metrics_of_run, params_of_run, tags_of_run


def create_whole_run(client: MlflowClient, experiment_id: str, number: int) -> None:
    """Create run `number` and log its metrics, params and tags: two requests."""
    run = client.create_run(experiment_id, start_time=START_MS + number, run_name=f"run {number}")
    client.log_batch(
        run.info.run_id,
        metrics=[Metric(key, value, START_MS, 0) for key, value in metrics_of_run(number)],
        params=[Param(key, value) for key, value in params_of_run(number)],
        tags=[RunTag(key, value) for key, value in tags_of_run(number)],
    )
