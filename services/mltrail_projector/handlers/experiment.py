"""What the events of experiments change; they all stand in `control`, whose fold decides who has a name."""

from __future__ import annotations

from mltrail_core.events import (
    ExperimentCreated,
    ExperimentDeleted,
    ExperimentEnsured,
    ExperimentRenamed,
    ExperimentRestored,
    ExperimentTagDeleted,
    ExperimentTagSet,
)
from mltrail_core.readmodel import tables
from mltrail_core.rules import (
    MAX_EXPERIMENT_TAG_CHARACTERS,
    Reason,
    experiment_name_fault,
    key_fault,
    text_fault,
)
from mltrail_projector.fold import Fold, Place, Reject, refuse
from mltrail_projector.rows import Row


def created(event: ExperimentCreated, fold: Fold, place: Place) -> None:
    """A new experiment takes its name and id."""
    refuse(Reason.INVALID, experiment_name_fault(event.name))
    taken = fold.rows.get(tables.experiment_names, event.name)
    if taken is not None:
        message = f"an experiment named {event.name!r} exists already, with id {taken['experiment_id']!r}"
        raise Reject(Reason.NAME_TAKEN, message)
    created_us = place.appended_us if event.created_us is None else event.created_us
    _begin(fold, place, event.experiment_id, event.name, event.artifact_location, created_us)


def ensured(event: ExperimentEnsured, fold: Fold, place: Place) -> None:
    """The name has an experiment: the one that had it, with the proposed id as an alias, or a new one."""
    refuse(Reason.INVALID, experiment_name_fault(event.name))
    taken = fold.rows.get(tables.experiment_names, event.name)
    if taken is None:
        _begin(fold, place, event.proposed_id, event.name, None, place.appended_us)
    elif taken["experiment_id"] != event.proposed_id:
        _refuse_taken_id(fold, event.proposed_id)
        alias: Row = {"proposed_id": event.proposed_id, "experiment_id": taken["experiment_id"]}
        fold.rows.put(tables.experiment_aliases, alias)


def renamed(event: ExperimentRenamed, fold: Fold, place: Place) -> None:
    """The experiment gives up its name and takes another that is free."""
    refuse(Reason.INVALID, experiment_name_fault(event.name))
    row = _active(fold, event.experiment_id)
    taken = fold.rows.get(tables.experiment_names, event.name)
    if taken is not None and taken["experiment_id"] != event.experiment_id:
        message = f"an experiment named {event.name!r} exists already, with id {taken['experiment_id']!r}"
        raise Reject(Reason.NAME_TAKEN, message)
    fold.rows.delete(tables.experiment_names, row["name"])
    fold.rows.put(tables.experiment_names, {"name": event.name, "experiment_id": event.experiment_id})
    fold.rows.update(tables.experiments, row, name=event.name, updated_us=place.appended_us)


def tag_set(event: ExperimentTagSet, fold: Fold, place: Place) -> None:
    """The tag has this value."""
    refuse(Reason.INVALID, key_fault(event.key))
    refuse(Reason.INVALID, text_fault(f"value of tag {event.key!r}", event.value, MAX_EXPERIMENT_TAG_CHARACTERS))
    row = _active(fold, event.experiment_id)
    tag: Row = {"experiment_id": event.experiment_id, "key": event.key, "value": event.value}
    fold.rows.put(tables.experiment_tags, tag)
    fold.rows.update(tables.experiments, row, updated_us=place.appended_us)


def tag_deleted(event: ExperimentTagDeleted, fold: Fold, place: Place) -> None:
    """The tag is gone."""
    row = _active(fold, event.experiment_id)
    if fold.rows.get(tables.experiment_tags, event.experiment_id, event.key) is None:
        raise Reject(Reason.NOT_THERE, f"experiment {event.experiment_id} has no tag {event.key!r}")
    fold.rows.delete(tables.experiment_tags, event.experiment_id, event.key)
    fold.rows.update(tables.experiments, row, updated_us=place.appended_us)


def deleted(event: ExperimentDeleted, fold: Fold, place: Place) -> None:
    """The experiment counts as deleted, and so do its runs at read time."""
    row = _active(fold, event.experiment_id)
    fold.rows.update(tables.experiments, row, is_deleted=True, updated_us=place.appended_us)


def restored(event: ExperimentRestored, fold: Fold, place: Place) -> None:
    """The experiment is active again."""
    row = fold.rows.get(tables.experiments, event.experiment_id)
    if row is None or not row["is_deleted"]:
        raise Reject(Reason.UNKNOWN_SUBJECT, f"there is no deleted experiment with id {event.experiment_id}")
    fold.rows.update(tables.experiments, row, is_deleted=False, updated_us=place.appended_us)


def _begin(
    fold: Fold, place: Place, experiment_id: str, name: str, artifact_location: str | None, created_us: int
) -> None:
    _refuse_taken_id(fold, experiment_id)
    fold.rows.put(tables.experiment_names, {"name": name, "experiment_id": experiment_id})
    fold.rows.put(
        tables.experiments,
        {
            "experiment_id": experiment_id,
            "name": name,
            "artifact_location": artifact_location,
            "is_deleted": False,
            "created_us": created_us,
            "updated_us": place.appended_us,
            "actor": place.actor,
            "actor_known": place.actor_known,
        },
    )


def _refuse_taken_id(fold: Fold, experiment_id: str) -> None:
    alias = fold.rows.get(tables.experiment_aliases, experiment_id)
    if alias is not None or fold.rows.get(tables.experiments, experiment_id) is not None:
        raise Reject(Reason.ALREADY_EXISTS, f"the experiment id {experiment_id} is in use already")


def _active(fold: Fold, experiment_id: str) -> Row:
    row = fold.rows.get(tables.experiments, experiment_id)
    if row is None:
        raise Reject(Reason.UNKNOWN_SUBJECT, f"there is no experiment with id {experiment_id}")
    if row["is_deleted"]:
        raise Reject(Reason.SUBJECT_DELETED, f"experiment {experiment_id} is deleted; restore it to change it")
    return row
