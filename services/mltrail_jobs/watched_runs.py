"""What the reaper asks the read model: which runs should have living writers, and what was last heard of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVarTuple

from sqlalchemy import Connection, Select, and_, func, or_, select

from mltrail_core.ids import CONTROL
from mltrail_core.readmodel.tables import changes, lost_runs, metric_blocks, producers, runs

_RUNS_PER_QUERY = 5000
_Columns = TypeVarTuple("_Columns")


@dataclass(frozen=True, slots=True)
class WatchedRun:
    """A RUNNING run. `producers` are those of the SDK that have not said goodbye; none: the lease of other runs holds.

    `last_appended_us` is the last record of these producers, 0 without any. `last_known_us` is the last sign of life
    that was known when it was found lost, None while it is not.
    """

    run_id: str
    created_us: int
    producers: tuple[str, ...]
    last_appended_us: int
    last_known_us: int | None

    @property
    def subjects(self) -> tuple[str, ...]:
        """Whose marks are the run's signs of life."""
        return (self.run_id, *self.producers)


def watched_runs(connection: Connection, run_ids: Sequence[str] | None = None) -> list[WatchedRun]:
    """Return all RUNNING runs that are not deleted, or those of them that are among `run_ids`."""
    query = (
        select(
            runs.c.run_id,
            runs.c.created_us,
            producers.c.producer,
            producers.c.last_appended_us,
            lost_runs.c.last_seen_us,
        )
        .select_from(
            runs.outerjoin(
                producers,
                and_(
                    producers.c.run_id == runs.c.run_id,
                    producers.c.partition != CONTROL,
                    producers.c.last_sequence.is_(None),
                ),
            ).outerjoin(lost_runs, lost_runs.c.run_id == runs.c.run_id)
        )
        .where(runs.c.status == "RUNNING", runs.c.is_deleted.is_(False))
    )
    found: dict[str, WatchedRun] = {}
    for part in _parts(query, run_ids):
        for run_id, created_us, producer, last_us, last_known_us in connection.execute(part):
            known = found.get(run_id, WatchedRun(run_id, created_us, (), 0, last_known_us))
            if producer is not None:
                known = WatchedRun(
                    run_id,
                    created_us,
                    (*known.producers, producer),
                    max(known.last_appended_us, last_us),
                    last_known_us,
                )
            found[run_id] = known
    return list(found.values())


def written_since_lost(connection: Connection) -> set[str]:
    """Return the lost runs to which anything was written after they were found lost, by whomever."""
    has_points = select(metric_blocks.c.run_id).where(
        metric_blocks.c.run_id == lost_runs.c.run_id, metric_blocks.c.last_index > lost_runs.c["index"]
    )
    has_changes = select(changes.c.subject).where(
        changes.c.subject == lost_runs.c.run_id,
        changes.c.partition != CONTROL,
        changes.c["index"] > lost_runs.c["index"],
    )
    query = select(lost_runs.c.run_id).where(or_(has_points.exists(), has_changes.exists()))
    return set(connection.execute(query).scalars())


def last_written(connection: Connection, run_id: str) -> int:
    """Return the index, in the run's partition, of the last record that wrote to the run; 0 when none did."""
    points = select(func.max(metric_blocks.c.last_index)).where(metric_blocks.c.run_id == run_id)
    said = select(func.max(changes.c["index"])).where(changes.c.subject == run_id, changes.c.partition != CONTROL)
    return max(connection.execute(points).scalar() or 0, connection.execute(said).scalar() or 0)


def _parts(query: Select[*_Columns], run_ids: Sequence[str] | None) -> list[Select[*_Columns]]:
    if run_ids is None:
        return [query]
    return [
        query.where(runs.c.run_id.in_(run_ids[first : first + _RUNS_PER_QUERY]))
        for first in range(0, len(run_ids), _RUNS_PER_QUERY)
    ]
