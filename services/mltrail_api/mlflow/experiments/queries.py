"""Single experiments in the read model, and how MLflow's client is told about them."""

from __future__ import annotations

from sqlalchemy import Connection, select

from mltrail_api.search.experiment_view import ExperimentView, load_experiments
from mltrail_core.readmodel.tables import experiment_aliases, experiment_names

Json = dict[str, object]


def experiment_by_id(connection: Connection, experiment_id: str) -> ExperimentView | None:
    """Return an experiment by its own id or by an alias of it, deleted or not."""
    return next(iter(load_experiments(connection, [resolve_alias(connection, experiment_id)])), None)


def resolve_alias(connection: Connection, experiment_id: str) -> str:
    """Return the id that an experiment really has; the same one when it is no alias."""
    own_id = connection.execute(
        select(experiment_aliases.c.experiment_id).where(experiment_aliases.c.proposed_id == experiment_id)
    ).scalar()
    return own_id or experiment_id


def experiment_by_name(connection: Connection, name: str) -> ExperimentView | None:
    """Return the experiment that has a name, deleted or not."""
    experiment_id = connection.execute(
        select(experiment_names.c.experiment_id).where(experiment_names.c.name == name)
    ).scalar()
    return None if experiment_id is None else experiment_by_id(connection, experiment_id)


def experiment_json(experiment: ExperimentView) -> Json:
    """Return the JSON of `mlflow.protos.service_pb2.Experiment`."""
    return {
        "experiment_id": experiment.experiment_id,
        "name": experiment.name,
        "artifact_location": experiment.artifact_location,
        "lifecycle_stage": "deleted" if experiment.is_deleted else "active",
        "last_update_time": experiment.updated_us // 1000,
        "creation_time": experiment.created_us // 1000,
        "tags": [{"key": key, "value": value} for key, value in experiment.tags],
        "workspace": "default",
    }
