"""What a write has to know of a run, from the read model. Whole runs are loaded by `mltrail_api.search.view`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from mltrail_api.search.placement import EXPERIMENT_ID, PLACED_RUNS
from mltrail_core.readmodel.tables import experiments, params, runs


@dataclass(frozen=True, slots=True)
class RunState:
    """Whether a run may be written to, and what it is now. `experiment_id` is the experiment's own, never an alias."""

    run_id: str
    experiment_id: str
    user: str
    status: str
    is_deleted: bool
    experiment_is_deleted: bool

    @property
    def is_active(self) -> bool:
        """Whether the run may be written to."""
        return not (self.is_deleted or self.experiment_is_deleted)


_STATE = select(
    runs.c.run_id, EXPERIMENT_ID, runs.c.user, runs.c.status, runs.c.is_deleted, experiments.c.is_deleted
).select_from(PLACED_RUNS)


def run_state(connection: Connection, run_id: str) -> RunState | None:
    """Return what a write has to know of a run, or None when there is no such run. A run of no known experiment, which
    trainers that bypass this API may make, is active."""
    row = connection.execute(_STATE.where(runs.c.run_id == run_id)).first()
    return None if row is None else RunState(row[0], row[1], row[2], row[3], row[4], bool(row[5]))


def params_of(connection: Connection, run_id: str, keys: Sequence[str]) -> dict[str, str]:
    """Return the values that these params of a run have already."""
    query = select(params.c.key, params.c.value).where(params.c.run_id == run_id, params.c.key.in_(keys))
    return {row.key: row.value for row in connection.execute(query)}
