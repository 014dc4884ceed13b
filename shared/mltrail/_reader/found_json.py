"""Runs in the JSON of `/api/v1/runs/search`."""

from __future__ import annotations

from collections.abc import Mapping

from mltrail._reader import RunSnapshot
from mltrail_core.errors import Unavailable

SNAPSHOT_COLUMNS = (
    *("experiment_id", "run_name", "status", "user", "start_time", "end_time"),
    *("params", "tags", "metrics"),
)
"""What a snapshot is made of, in the words of the search."""


def found_snapshot_of(answer: Mapping[str, object]) -> RunSnapshot:
    """Return the run that was found.

    Raises:
        Unavailable: it is no such thing, so whoever answered is not an mltrail of this version.
    """
    match answer:
        case {
            "run_id": str(run_id),
            "run_name": str(name),
            "experiment_id": str(experiment_id),
            "status": str(status),
            "user": str(user),
            "started_us": int(started_us),
            "ended_us": (int() | None) as ended_us,
            "params": dict(params),
            "metrics": dict(metrics),
            "tags": dict(tags),
        }:
            return RunSnapshot(
                id=run_id,
                name=name,
                experiment_id=experiment_id,
                status=status,
                user=user,
                started_us=started_us,
                ended_us=ended_us,
                params=params,
                metrics={key: float(numbers["last"]) for key, numbers in metrics.items()},  # "NaN" comes as a text
                tags=tags,
            )
    raise Unavailable(f"the answer describes no run: {str(answer)[:200]}; is it an mltrail of another version?")
