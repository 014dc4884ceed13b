"""Runs beside the experiment they are in: aliases resolved, lifecycle and artifact URI derived, all at read time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    bindparam,
    case,
    exists,
    false,
    func,
    not_,
    or_,
    select,
    true,
    type_coerce,
)

from mltrail_api.search.expression import ViewType
from mltrail_core.errors import Invalid
from mltrail_core.readmodel.tables import TEXT, experiment_aliases, experiments, logged_models, lost_runs, runs
from mltrail_core.rules import LOST_STATUS

_MAX_EXPERIMENTS = 10_000
"""In one search: SQLite binds at most 32,766 values."""

EXPERIMENT_ID: ColumnElement[str] = func.coalesce(experiment_aliases.c.experiment_id, runs.c.experiment_id)
"""The experiment's own id, also where the run names it by an alias; what the run says when it is not known yet."""


def placed(source: FromClause) -> FromClause:
    """Return `source`, which holds `runs`, joined with the experiments that they are in."""
    return source.outerjoin(experiment_aliases, experiment_aliases.c.proposed_id == runs.c.experiment_id).outerjoin(
        experiments, experiments.c.experiment_id == EXPERIMENT_ID
    )


PLACED_RUNS: FromClause = placed(runs)
"""Runs beside the experiment they are in."""

IS_DELETED: ColumnElement[bool] = or_(runs.c.is_deleted, func.coalesce(experiments.c.is_deleted, false()))
"""Deleted by its own event or with its experiment."""

MLFLOW_STATUS_OF_LOST = "FAILED"
"""MLflow has no word for a run that counts as lost; with this one nobody waits for its end (docs/decisions)."""
_IS_LOST: ColumnElement[bool] = exists().where(lost_runs.c.run_id == runs.c.run_id).correlate(runs)
MLFLOW_STATUS: ColumnElement[str] = case((_IS_LOST, MLFLOW_STATUS_OF_LOST), else_=runs.c.status)
"""The run's status as MLflow's clients are told it."""
SHOWN_STATUS: ColumnElement[str] = case((_IS_LOST, LOST_STATUS), else_=runs.c.status)
"""The run's status with our own word for lost runs."""

MODEL_EXPERIMENT_ID: ColumnElement[str] = func.coalesce(
    experiment_aliases.c.experiment_id, logged_models.c.experiment_id
)
"""As `EXPERIMENT_ID`, of a logged model."""

PLACED_MODELS: FromClause = logged_models.outerjoin(
    experiment_aliases, experiment_aliases.c.proposed_id == logged_models.c.experiment_id
).outerjoin(experiments, experiments.c.experiment_id == MODEL_EXPERIMENT_ID)
"""Logged models beside the experiment they are in."""

ARTIFACT_URI: ColumnElement[str] = (
    type_coerce(
        func.coalesce(func.rtrim(experiments.c.artifact_location, "/"), "mlflow-artifacts:/" + EXPERIMENT_ID), TEXT
    )
    .concat("/")
    .concat(runs.c.run_id)
    .concat("/artifacts")
)
"""Where the run's artifacts lie, as MLflow derives it from the experiment's artifact location."""


def is_in_view(is_deleted: ColumnElement[bool], view_type: ViewType) -> ColumnElement[bool]:
    """Return whether a search of `view_type` shows what is deleted or not."""
    match view_type:
        case ViewType.ACTIVE_ONLY:
            return not_(is_deleted)
        case ViewType.DELETED_ONLY:
            return is_deleted
        case ViewType.ALL:
            return true()


@dataclass(frozen=True, slots=True)
class Placement:
    """Which experiments runs are in: as a condition, and the id that all of them name if there is only one."""

    holds: ColumnElement[bool]
    only_id: str | None


ANYWHERE = Placement(true(), None)


def is_placed_in(connection: Connection, experiment_ids: Sequence[str]) -> ColumnElement[bool]:
    """Return whether a run is in one of these experiments, as `placed_in` does."""
    return placed_in(connection, experiment_ids).holds


def placed_in(connection: Connection, experiment_ids: Sequence[str]) -> Placement:
    """Return whether a run is in one of these experiments, under whichever of their ids it and the caller name them.

    Raises:
        Invalid: an id is not a decimal number, or there are too many.
    """
    if len(experiment_ids) > _MAX_EXPERIMENTS:
        raise Invalid(f"{len(experiment_ids)} experiment ids were given; at most {_MAX_EXPERIMENTS} are allowed")
    own_ids = own_experiment_ids(connection, experiment_ids)
    if connection.execute(_ANY_ALIAS, {"own_ids": own_ids}).first() is None:
        if len(own_ids) == 1:
            return Placement(runs.c.experiment_id == own_ids[0], own_ids[0])
        return Placement(runs.c.experiment_id.in_(own_ids), None)
    # Each trainer that knew only the name may have left an alias: there can be thousands, so they stay in SQL.
    aliases = select(experiment_aliases.c.proposed_id).where(experiment_aliases.c.experiment_id.in_(own_ids))
    named = or_(runs.c.experiment_id.in_(own_ids), runs.c.experiment_id.in_(aliases))
    return Placement(named, None)


def own_experiment_ids(connection: Connection, experiment_ids: Iterable[str]) -> list[str]:
    """Return the ids with aliases replaced by the ids of the experiments they stand for, sorted.

    Raises:
        Invalid: one is not a decimal number.
    """
    named = {_decimal(experiment_id) for experiment_id in experiment_ids}
    own_id_of = {proposed_id: own_id for proposed_id, own_id in connection.execute(_ALIASES, {"named": list(named)})}
    return sorted({own_id_of.get(experiment_id, experiment_id) for experiment_id in named})


# Made once: making a statement costs more than performing these two, which every search does.
_ALIASES = select(experiment_aliases.c.proposed_id, experiment_aliases.c.experiment_id).where(
    experiment_aliases.c.proposed_id.in_(bindparam("named", expanding=True))
)
_ANY_ALIAS = (
    select(experiment_aliases.c.proposed_id)
    .where(experiment_aliases.c.experiment_id.in_(bindparam("own_ids", expanding=True)))
    .limit(1)
)


def _decimal(experiment_id: str) -> str:
    try:
        return str(int(experiment_id))
    except ValueError as error:
        raise Invalid(f"experiment id {experiment_id[:100]!r} is not a decimal number") from error
