"""A training as users write it, for mypy: what the public functions give has the types that their callers rely on."""

from __future__ import annotations

from typing import assert_type

import mltrail
from mltrail_core.metric_block import MetricPoint


def train(folder: str) -> mltrail.Run:
    """Log a run and register what it made."""
    mltrail.init(folder, experiment="iris", console=False, offline=False)
    with mltrail.start_run(name="gbm", tags={"team": "vision"}) as run:
        assert_type(run, mltrail.Run)
        run.log_metric("loss", 0.5, step=1)
        run.log_metrics({"acc": 0.9}, step=1)
        run.log_series("val_loss", range(3), [0.5, 0.4, 0.3])
        assert_type(run.flush(), bool)
        assert_type(run.id, str)
        assert_type(mltrail.active_run(), mltrail.Run | None)
    version = mltrail.register_model(f"runs:/{run.id}/model", "iris", tags={"team": "vision"})
    assert_type(version, mltrail.Outcome[int])
    assert_type(mltrail.set_alias("iris", "champion", 1), mltrail.Outcome[None])
    assert_type(mltrail.delete_alias("iris", "champion"), mltrail.Outcome[None])
    assert_type(mltrail.transition_stage("iris", 1, "Staging"), mltrail.Outcome[None])
    return run


def read(run_id: str) -> float:
    """Read a run back."""
    snapshot = mltrail.get_run(run_id)
    assert_type(snapshot, mltrail.RunSnapshot)
    assert_type(mltrail.search_runs("iris"), list[mltrail.RunSnapshot])
    assert_type(mltrail.metric_history(run_id, "loss"), list[MetricPoint])
    return snapshot.metrics["loss"]


async def train_in_a_task() -> int:
    """Log a run and await the number of the version that is made of it."""
    async with mltrail.start_run() as run:
        assert_type(await run.aflush(), bool)
        number = await mltrail.register_model("model", "iris")
        assert_type(number, int)
    await run.aend()
    return number
