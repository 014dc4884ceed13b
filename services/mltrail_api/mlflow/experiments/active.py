"""The experiment that something new begins in: it has to be there, and active."""

from __future__ import annotations

from mltrail_api.mlflow.experiments.queries import experiment_by_id
from mltrail_api.search.experiment_view import ExperimentView
from mltrail_api.services import Services
from mltrail_api.visibility import CONTROL_ONLY, EVENTUAL
from mltrail_core.errors import Invalid


async def active_experiment(services: Services, experiment_id: str) -> ExperimentView:
    """Return an experiment, by its own id or an alias, that may be written to, as it was at most `FOUND_S` ago.

    Raises:
        NotFound: there is none, also after waiting once for what the log holds.
        Unavailable: the projector is behind, so that nobody knows.
        Invalid: it is deleted, or the id is no integer.
    """
    refuse_experiment_id(experiment_id)
    found = services.active_experiments.get(experiment_id)
    if found is not None:
        return found
    changes = services.active_experiments.changes
    for freshness in (EVENTUAL, CONTROL_ONLY):
        seen = await services.visibility.read(lambda connection: experiment_by_id(connection, experiment_id), freshness)
        if seen.value is not None and not seen.value.is_deleted:
            services.active_experiments.remember(experiment_id, seen.value, changes)
            return seen.value
    if seen.value is None:
        begun = services.begun_experiments.get(experiment_id) if seen.is_behind else None
        if begun is not None:
            return begun
        raise seen.absence(f"No Experiment with id={experiment_id[:300]} exists")
    raise Invalid(
        f"The experiment {experiment_id} must be in the 'active' state. Current state is deleted. "
        "Restore it to write to it."
    )


def refuse_experiment_id(experiment_id: str) -> None:
    """Raise `Invalid` when no experiment can have such an id."""
    if not (experiment_id.isascii() and experiment_id.removeprefix("-").isdigit()):
        raise Invalid(f"Invalid experiment ID '{experiment_id[:200]}'. Experiment ID must be a valid integer.")
