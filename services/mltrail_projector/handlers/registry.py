"""What the events of the model registry change; they stand in `control`, whose fold hands out version numbers."""

from __future__ import annotations

from mltrail_core.events import ModelVersionCreated, RegisteredModelCreated
from mltrail_core.readmodel import tables
from mltrail_core.rules import Reason
from mltrail_projector.fold import Fold, Place, Reject
from mltrail_projector.rows import Row

STAGE_NONE = "None"
VERSION_READY = "READY"


def model_created(event: RegisteredModelCreated, fold: Fold, place: Place) -> None:
    """A registered model takes its name."""
    if not event.name:
        raise Reject(Reason.INVALID, "the registered model's name is empty")
    if fold.rows.get(tables.registered_models, event.name) is not None:
        raise Reject(Reason.NAME_TAKEN, f"a registered model named {event.name!r} exists already")
    fold.rows.put(
        tables.registered_models,
        {
            "name": event.name,
            "description": event.description,
            "next_version": 1,
            "created_us": place.appended_us,
            "updated_us": place.appended_us,
            "actor": place.actor,
            "actor_known": place.actor_known,
        },
    )
    for key, value in event.tags:
        fold.rows.put(tables.registered_model_tags, {"name": event.name, "key": key, "value": value})


def version_created(event: ModelVersionCreated, fold: Fold, place: Place) -> None:
    """The registered model has one more version, with the next number."""
    model = fold.rows.get(tables.registered_models, event.name)
    if model is None:
        raise Reject(Reason.UNKNOWN_SUBJECT, f"there is no registered model named {event.name!r}")
    version = model["next_version"]
    assert isinstance(version, int)
    fold.rows.update(tables.registered_models, model, next_version=version + 1, updated_us=place.appended_us)
    fold.rows.put(
        tables.model_versions,
        {
            "name": event.name,
            "version": version,
            "index": place.index,
            "source": event.source,
            "storage_location": event.storage_location,
            "run_id": event.run_id,
            "run_link": event.run_link,
            "model_id": event.model_id,
            "description": event.description,
            "stage": STAGE_NONE,
            "status": VERSION_READY,
            "created_us": place.appended_us,
            "updated_us": place.appended_us,
            "user": place.actor,
            "actor": place.actor,
            "actor_known": place.actor_known,
        },
    )
    for key, value in event.tags:
        tag: Row = {"name": event.name, "version": version, "key": key, "value": value}
        fold.rows.put(tables.model_version_tags, tag)
