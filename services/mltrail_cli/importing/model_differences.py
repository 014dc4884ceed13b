"""What a logged model of the source has that the one here has not, as the events that would say it."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, Table, select

from mltrail_cli.importing.source import SourceModel
from mltrail_core.events import (
    Event,
    LoggedModelCreated,
    LoggedModelFinalized,
    LoggedModelParamLogged,
    LoggedModelTagSet,
)
from mltrail_core.readmodel.tables import logged_model_params, logged_model_tags, logged_models
from mltrail_core.rules import LOGGED_MODEL_PENDING


def missing_of_model(connection: Connection, model: SourceModel, experiment_id: str) -> Iterator[Event]:
    """Yield what makes the model here say what the source's says."""
    at_us, model_id = model.created_us, model.model_id
    query = select(logged_models.c.status).where(logged_models.c.model_id == model_id)
    status = connection.execute(query).scalar()
    if status is None:
        yield LoggedModelCreated(
            at_us, model_id, experiment_id, model.name, model.model_type, model.source_run_id, model.created_us
        )
    params_here = _pairs(connection, logged_model_params, model_id)
    for key, value in model.params.items():
        if params_here.get(key) != value:
            yield LoggedModelParamLogged(at_us, model_id, key, value)
    tags_here = _pairs(connection, logged_model_tags, model_id)
    for key, value in model.tags.items():
        if tags_here.get(key) != value:
            yield LoggedModelTagSet(at_us, model_id, key, value)
    if model.status != (status or LOGGED_MODEL_PENDING):
        yield LoggedModelFinalized(at_us, model_id, model.status)


def _pairs(connection: Connection, table: Table, model_id: str) -> dict[str, str]:
    query = select(table.c.key, table.c.value).where(table.c.model_id == model_id)
    return {key: value for key, value in connection.execute(query)}
