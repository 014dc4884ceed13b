"""Experiments in the read model, and how MLflow's client is told about them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, select

from mltrail_core.readmodel.tables import experiment_aliases, experiment_names, experiment_tags, experiments

CHUNK = 500
"""How many ids one statement names: SQLite's and PostgreSQL's plans stay good and their limits far away."""


def experiment_by_id(connection: Connection, experiment_id: str) -> dict[str, object] | None:
    """Return an experiment as MLflow's JSON has it, found by its id or by an alias of it."""
    found = experiments_as_json(connection, [resolve_alias(connection, experiment_id)])
    return found[0] if found else None


def experiment_by_name(connection: Connection, name: str) -> dict[str, object] | None:
    """Return the experiment that has a name, deleted or not."""
    experiment_id = connection.execute(
        select(experiment_names.c.experiment_id).where(experiment_names.c.name == name)
    ).scalar()
    return None if experiment_id is None else experiment_by_id(connection, experiment_id)


def resolve_alias(connection: Connection, experiment_id: str) -> str:
    """Return the id that an experiment really has; the same one when it is no alias."""
    real = connection.execute(
        select(experiment_aliases.c.experiment_id).where(experiment_aliases.c.proposed_id == experiment_id)
    ).scalar()
    return experiment_id if real is None else real


def experiments_as_json(connection: Connection, experiment_ids: Sequence[str]) -> list[dict[str, object]]:
    """Return the experiments with these ids, in that order; ids that nobody has are left out."""
    found: dict[str, dict[str, object]] = {}
    for start in range(0, len(experiment_ids), CHUNK):
        chunk = experiment_ids[start : start + CHUNK]
        tags: dict[str, list[dict[str, str]]] = {}
        rows = connection.execute(
            select(experiment_tags).where(experiment_tags.c.experiment_id.in_(chunk)).order_by(experiment_tags.c.key)
        )
        for experiment_id, key, value in rows:
            tags.setdefault(experiment_id, []).append({"key": key, "value": value})
        for row in connection.execute(select(experiments).where(_has_id(chunk))):
            found[row.experiment_id] = {
                "experiment_id": row.experiment_id,
                "name": row.name,
                "artifact_location": artifact_location(row.experiment_id, row.artifact_location),
                "lifecycle_stage": "deleted" if row.is_deleted else "active",
                "last_update_time": row.updated_us // 1000,
                "creation_time": row.created_us // 1000,
                "tags": tags.get(row.experiment_id, []),
                "workspace": "default",
            }
    return [found[experiment_id] for experiment_id in experiment_ids if experiment_id in found]


def artifact_location(experiment_id: str, said: str | None) -> str:
    """Return where an experiment's artifacts go; without a word on it, through this server."""
    return said or f"mlflow-artifacts:/{experiment_id}"


def _has_id(experiment_ids: Sequence[str]) -> ColumnElement[bool]:
    return experiments.c.experiment_id.in_(experiment_ids)
