"""What is said of a run or a metric that is not there."""

from __future__ import annotations

from sqlalchemy import Connection

from mltrail_api.series.queries import near_keys


def absent_run(run_id: str) -> str:
    """Return that there is no such run."""
    return f"Run with id={run_id[:300]} not found; `mltrail runs list` shows those there are"


def absent_key(connection: Connection, run_id: str, key: str) -> str:
    """Return that the run never logged the metric, and which of its keys are most like it."""
    near = near_keys(connection, run_id, key)
    if not near:
        return f"run {run_id} has no metric {key[:300]!r}, nor any other"
    shown = ", ".join(repr(name) for name in near)
    return f"run {run_id} has no metric {key[:300]!r}; near are {shown}; GET /api/v1/runs/{run_id}/metrics lists all"
