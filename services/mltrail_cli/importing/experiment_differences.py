"""What an experiment of the source has that the one here has not, as the events that would say it."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from mltrail_api.search.experiment_view import load_experiments
from mltrail_cli.importing.placement import PlacedExperiment
from mltrail_cli.importing.source import SourceExperiment
from mltrail_core.events import (
    Event,
    ExperimentCreated,
    ExperimentDeleted,
    ExperimentRenamed,
    ExperimentRestored,
    ExperimentTagSet,
)


def missing_of_experiment(
    connection: Connection, experiment: SourceExperiment, placed: PlacedExperiment, *, keeps_location: bool
) -> Iterator[Event]:
    """Yield what makes the experiment here say what the source's says.

    Args:
        connection: to the read model.
        experiment: the source's.
        placed: where it goes.
        keeps_location: whether its artifacts stay where they are, or are imported.
    """
    at_us, experiment_id = experiment.created_us or 0, placed.experiment_id
    here = next(iter(load_experiments(connection, [experiment_id])), None)
    is_deleted = False
    if here is None:
        location = experiment.artifact_location if keeps_location else None
        yield ExperimentCreated(at_us, experiment_id, placed.name, location, experiment.created_us)
    else:
        is_deleted = here.is_deleted
    changes: list[Event] = []
    if here is not None and here.name != placed.name:
        changes.append(ExperimentRenamed(at_us, experiment_id, placed.name))
    tags = {} if here is None else dict(here.tags)
    changes += [
        ExperimentTagSet(at_us, experiment_id, key, value)
        for key, value in experiment.tags.items()
        if tags.get(key) != value
    ]
    if is_deleted and (changes or not experiment.is_deleted):  # what is deleted takes no writes
        yield ExperimentRestored(at_us, experiment_id)
        is_deleted = False
    yield from changes
    if experiment.is_deleted and not is_deleted:
        yield ExperimentDeleted(at_us, experiment_id)
