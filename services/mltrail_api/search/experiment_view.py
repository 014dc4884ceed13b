"""Whole experiments as the API shows them, loaded in two queries however many there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from mltrail_core.readmodel.tables import experiment_tags, experiments

_EXPERIMENTS_PER_QUERY = 5_000
"""SQLite binds at most 32,766 values."""


@dataclass(frozen=True, slots=True)
class ExperimentView:
    """An experiment with its tags, sorted by key. Times are µs UTC."""

    experiment_id: str
    name: str
    artifact_location: str
    is_deleted: bool
    created_us: int
    updated_us: int
    tags: tuple[tuple[str, str], ...]


def load_experiments(connection: Connection, experiment_ids: Sequence[str]) -> list[ExperimentView]:
    """Return the experiments of `experiment_ids`, in that order; unknown ids and aliases are left out."""
    return [
        view
        for first in range(0, len(experiment_ids), _EXPERIMENTS_PER_QUERY)
        for view in _load(connection, experiment_ids[first : first + _EXPERIMENTS_PER_QUERY])
    ]


_INFO = select(
    experiments.c.experiment_id,
    experiments.c.name,
    func.coalesce(experiments.c.artifact_location, "mlflow-artifacts:/" + experiments.c.experiment_id),
    experiments.c.is_deleted,
    experiments.c.created_us,
    experiments.c.updated_us,
)
_TAGS = select(experiment_tags.c.experiment_id, experiment_tags.c.key, experiment_tags.c.value).order_by(
    experiment_tags.c.experiment_id, experiment_tags.c.key
)


def _load(connection: Connection, experiment_ids: Sequence[str]) -> Iterator[ExperimentView]:
    infos = connection.execute(_INFO.where(experiments.c.experiment_id.in_(experiment_ids)))
    found = {info[0]: info for info in infos}
    tags_of = defaultdict[str, list[tuple[str, str]]](list)
    for experiment_id, key, value in connection.execute(_TAGS.where(experiment_tags.c.experiment_id.in_(found))):
        tags_of[experiment_id].append((key, value))
    for experiment_id in experiment_ids:
        if (info := found.get(experiment_id)) is not None:
            yield ExperimentView(
                experiment_id=experiment_id,
                name=info[1],
                artifact_location=info[2],
                is_deleted=bool(info[3]),
                created_us=info[4],
                updated_us=info[5],
                tags=tuple(tags_of[experiment_id]),
            )
