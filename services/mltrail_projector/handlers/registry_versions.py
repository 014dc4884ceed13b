"""What the events of model versions change; they stand in `control`, whose fold hands out version numbers."""

from __future__ import annotations

from mltrail_core.events import (
    ModelVersionCreated,
    ModelVersionDeleted,
    ModelVersionDescribed,
    ModelVersionTagDeleted,
    ModelVersionTagSet,
    StageChanged,
)
from mltrail_core.readmodel import tables
from mltrail_core.registry_rules import STAGE_NONE, registry_tag_fault, stage_fault
from mltrail_core.rules import Reason
from mltrail_projector.fold import Fold, Place, Reject, refuse
from mltrail_projector.handlers.registry import model_of, version_of
from mltrail_projector.handlers.registry_history import Change, keep, value_in
from mltrail_projector.rows import Row

VERSION_READY = "READY"
_MAX_VERSION = 2**31 - 2
"""The number after it still fits the read model's column."""


def version_created(event: ModelVersionCreated, fold: Fold, place: Place) -> None:
    """The registered model has one more version, with the next number."""
    for key, value in event.tags:
        refuse(Reason.INVALID, registry_tag_fault(key, value))
    model = model_of(fold, event.name)
    next_version = model["next_version"]
    assert isinstance(next_version, int)
    version = next_version if event.number is None else event.number
    if version < next_version:
        message = f"{event.name!r} has given the number {version} already; its next version is {next_version}"
        raise Reject(Reason.ALREADY_EXISTS, message)
    if version > _MAX_VERSION:
        raise Reject(Reason.INVALID, f"{version} is no number of a version; expected at most {_MAX_VERSION}")
    origin: Row = {
        "source": event.source,
        "storage_location": event.storage_location,
        "run_id": event.run_id,
        "run_link": event.run_link,
        "model_id": event.model_id,
        "created_us": place.appended_us if event.created_us is None else event.created_us,
        "user": place.actor if event.user is None else event.user,
    }
    fold.rows.update(tables.registered_models, model, next_version=version + 1, updated_us=place.appended_us)
    fold.rows.put(tables.model_version_origins, {"registry_id": model["registry_id"], "version": version, **origin})
    fold.rows.put(
        tables.model_versions,
        {
            "name": event.name,
            "version": version,
            "index": place.index,
            **origin,
            "description": event.description,
            "stage": STAGE_NONE,
            "status": VERSION_READY,
            "updated_us": place.appended_us,
            "actor": place.actor,
            "actor_known": place.actor_known,
        },
    )
    changes: list[Change] = [(version, "created", None, None, STAGE_NONE)]
    if event.description is not None:
        changes.append((version, "description", None, None, event.description))
    for key, value in dict(event.tags).items():
        tag: Row = {"name": event.name, "version": version, "key": key, "value": value}
        fold.rows.put(tables.model_version_tags, tag)
        changes.append((version, "tag", key, None, value))
    keep(fold, place, model, changes)


def version_described(event: ModelVersionDescribed, fold: Fold, place: Place) -> None:
    """The version has this description."""
    model = model_of(fold, event.name)
    row = version_of(fold, event.name, event.version)
    fold.rows.update(tables.model_versions, row, description=event.description, updated_us=place.appended_us)
    keep(fold, place, model, [(event.version, "description", None, row["description"], event.description)])


def version_tag_set(event: ModelVersionTagSet, fold: Fold, place: Place) -> None:
    """The version's tag has this value."""
    refuse(Reason.INVALID, registry_tag_fault(event.key, event.value))
    model = model_of(fold, event.name)
    version_of(fold, event.name, event.version)
    before = fold.rows.get(tables.model_version_tags, event.name, event.version, event.key)
    tag: Row = {"name": event.name, "version": event.version, "key": event.key, "value": event.value}
    fold.rows.put(tables.model_version_tags, tag)
    keep(fold, place, model, [(event.version, "tag", event.key, value_in(before, "value"), event.value)])


def version_tag_deleted(event: ModelVersionTagDeleted, fold: Fold, place: Place) -> None:
    """The version's tag is gone; nothing happens when it was not there, as in MLflow."""
    model = model_of(fold, event.name)
    version_of(fold, event.name, event.version)
    before = fold.rows.get(tables.model_version_tags, event.name, event.version, event.key)
    if before is not None:
        fold.rows.delete(tables.model_version_tags, event.name, event.version, event.key)
        keep(fold, place, model, [(event.version, "tag", event.key, before["value"], None)])


def version_deleted(event: ModelVersionDeleted, fold: Fold, place: Place) -> None:
    """The version, its tags and the aliases that name it are gone; the model still counts on from its number."""
    model = model_of(fold, event.name)
    row = version_of(fold, event.name, event.version)
    changes: list[Change] = [(event.version, "deleted", None, row["stage"], None)]
    aliases = fold.rows.select(tables.registered_model_aliases, name=event.name, version=event.version)
    for alias in sorted(str(found["alias"]) for found in aliases):
        fold.rows.delete(tables.registered_model_aliases, event.name, alias)
        changes.append((event.version, "alias", alias, event.version, None))
    for tag in fold.rows.select(tables.model_version_tags, name=event.name, version=event.version):
        fold.rows.delete(tables.model_version_tags, event.name, event.version, tag["key"])
    fold.rows.delete(tables.model_versions, event.name, event.version)
    fold.rows.update(tables.registered_models, model, updated_us=place.appended_us)
    keep(fold, place, model, changes)


def stage_changed(event: StageChanged, fold: Fold, place: Place) -> None:
    """The version is in this stage; where told so, the others that were in it are in another from the same moment."""
    refuse(Reason.INVALID, stage_fault(event.stage))
    if event.others_to is not None:
        refuse(Reason.INVALID, stage_fault(event.others_to))
    model = model_of(fold, event.name)
    row = version_of(fold, event.name, event.version)
    moved = [(row, event.stage)]
    if event.others_to is not None:
        others = fold.rows.select(tables.model_versions, name=event.name, stage=event.stage)
        moved += [(other, event.others_to) for other in others if other["version"] != event.version]
    changes: list[Change] = []
    for version, stage in moved:
        number = version["version"]
        assert isinstance(number, int)
        fold.rows.update(tables.model_versions, version, stage=stage, updated_us=place.appended_us)
        changes.append((number, "stage", None, version["stage"], stage))
    fold.rows.update(tables.registered_models, model, updated_us=place.appended_us)
    keep(fold, place, model, [changes[0], *sorted(changes[1:], key=lambda change: change[0] or 0)])
