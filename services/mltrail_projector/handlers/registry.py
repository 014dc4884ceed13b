"""What the events of registered models change; they stand in `control`, whose fold decides who has a name."""

from __future__ import annotations

from mltrail_core.events import (
    AliasDeleted,
    AliasSet,
    RegisteredModelCreated,
    RegisteredModelDeleted,
    RegisteredModelDescribed,
    RegisteredModelEnsured,
    RegisteredModelRenamed,
    RegisteredModelTagDeleted,
    RegisteredModelTagSet,
)
from mltrail_core.readmodel import tables
from mltrail_core.registry_rules import alias_fault, model_name_fault, registry_tag_fault, reserved_alias_fault
from mltrail_core.rules import Reason
from mltrail_projector.fold import Fold, Place, Reject, refuse
from mltrail_projector.handlers.registry_history import Change, give_name, keep, value_in
from mltrail_projector.rows import Row

_OF_ONE_MODEL = (
    tables.registered_model_tags,
    tables.registered_model_aliases,
    tables.model_versions,
    tables.model_version_tags,
)


def model_created(event: RegisteredModelCreated, fold: Fold, place: Place) -> None:
    """A registered model takes its name."""
    refuse(Reason.INVALID, model_name_fault(event.name))
    for key, value in event.tags:
        refuse(Reason.INVALID, registry_tag_fault(key, value))
    if fold.rows.get(tables.registered_models, event.name) is not None:
        raise Reject(Reason.NAME_TAKEN, f"a registered model named {event.name!r} exists already")
    model: Row = {
        "name": event.name,
        "registry_id": f"{place.index}.{place.number}",
        "description": event.description,
        "next_version": 1,
        "created_us": place.appended_us if event.created_us is None else event.created_us,
        "updated_us": place.appended_us,
        "actor": place.actor,
        "actor_known": place.actor_known,
    }
    fold.rows.put(tables.registered_models, model)
    fold.rows.put(
        tables.registered_model_origins,
        {"registry_id": model["registry_id"], "created_us": model["created_us"], "user": place.actor},
    )
    give_name(fold, place, event.name, model["registry_id"])
    changes: list[Change] = [(None, "created", None, None, event.name)]
    if event.description is not None:
        changes.append((None, "description", None, None, event.description))
    for key, value in dict(event.tags).items():
        fold.rows.put(tables.registered_model_tags, {"name": event.name, "key": key, "value": value})
        changes.append((None, "tag", key, None, value))
    keep(fold, place, model, changes)


def model_ensured(event: RegisteredModelEnsured, fold: Fold, place: Place) -> None:
    """There is a registered model of this name: the one that has it, or a new one."""
    if fold.rows.get(tables.registered_models, event.name) is None:
        model_created(RegisteredModelCreated(event.occurred_us, event.name), fold, place)


def model_renamed(event: RegisteredModelRenamed, fold: Fold, place: Place) -> None:
    """The model gives up its name and takes another that is free; its versions, tags and aliases go with it."""
    refuse(Reason.INVALID, model_name_fault(event.new_name))
    model = model_of(fold, event.name)
    if event.new_name != event.name and fold.rows.get(tables.registered_models, event.new_name) is not None:
        raise Reject(Reason.NAME_TAKEN, f"Registered Model (name={event.new_name}) already exists.")
    give_name(fold, place, event.name, None)
    give_name(fold, place, event.new_name, model["registry_id"])
    fold.rows.delete(tables.registered_models, event.name)
    fold.rows.update(tables.registered_models, model, name=event.new_name, updated_us=place.appended_us)
    for table in _OF_ONE_MODEL:
        for row in fold.rows.select(table, name=event.name):
            touched = {"updated_us": place.appended_us} if table is tables.model_versions else {}
            fold.rows.delete(table, *(row[column.name] for column in table.primary_key))
            fold.rows.update(table, row, name=event.new_name, **touched)
    keep(fold, place, model, [(None, "renamed", None, event.name, event.new_name)])


def model_described(event: RegisteredModelDescribed, fold: Fold, place: Place) -> None:
    """The model has this description."""
    model = model_of(fold, event.name)
    fold.rows.update(tables.registered_models, model, description=event.description, updated_us=place.appended_us)
    keep(fold, place, model, [(None, "description", None, model["description"], event.description)])


def model_tag_set(event: RegisteredModelTagSet, fold: Fold, place: Place) -> None:
    """The model's tag has this value."""
    refuse(Reason.INVALID, registry_tag_fault(event.key, event.value))
    model = model_of(fold, event.name)
    before = fold.rows.get(tables.registered_model_tags, event.name, event.key)
    fold.rows.put(tables.registered_model_tags, {"name": event.name, "key": event.key, "value": event.value})
    keep(fold, place, model, [(None, "tag", event.key, value_in(before, "value"), event.value)])


def model_tag_deleted(event: RegisteredModelTagDeleted, fold: Fold, place: Place) -> None:
    """The model's tag is gone; nothing happens when it was not there, as in MLflow."""
    model = model_of(fold, event.name)
    before = fold.rows.get(tables.registered_model_tags, event.name, event.key)
    if before is not None:
        fold.rows.delete(tables.registered_model_tags, event.name, event.key)
        keep(fold, place, model, [(None, "tag", event.key, before["value"], None)])


def model_deleted(event: RegisteredModelDeleted, fold: Fold, place: Place) -> None:
    """The model and all that is its own are gone, and its name is free; what was is kept as history."""
    model = model_of(fold, event.name)
    for table in _OF_ONE_MODEL:
        for row in fold.rows.select(table, name=event.name):
            fold.rows.delete(table, *(row[column.name] for column in table.primary_key))
    fold.rows.delete(tables.registered_models, event.name)
    give_name(fold, place, event.name, None)
    keep(fold, place, model, [(None, "deleted", None, event.name, None)])


def alias_set(event: AliasSet, fold: Fold, place: Place) -> None:
    """The alias names this version."""
    refuse(Reason.INVALID, alias_fault(event.alias))
    refuse(Reason.INVALID, reserved_alias_fault(event.alias))
    model = model_of(fold, event.name)
    version_of(fold, event.name, event.version)
    before = fold.rows.get(tables.registered_model_aliases, event.name, event.alias)
    alias: Row = {"name": event.name, "alias": event.alias, "version": event.version}
    fold.rows.put(tables.registered_model_aliases, alias)
    keep(fold, place, model, [(event.version, "alias", event.alias, value_in(before, "version"), event.version)])


def alias_deleted(event: AliasDeleted, fold: Fold, place: Place) -> None:
    """The alias names nothing; nothing happens when it named nothing before, as in MLflow."""
    model = model_of(fold, event.name)
    before = fold.rows.get(tables.registered_model_aliases, event.name, event.alias)
    if before is not None:
        fold.rows.delete(tables.registered_model_aliases, event.name, event.alias)
        version = before["version"]
        assert isinstance(version, int)
        keep(fold, place, model, [(version, "alias", event.alias, version, None)])


def model_of(fold: Fold, name: str) -> Row:
    """Return the registered model of this name; `Reject` when there is none."""
    model = fold.rows.get(tables.registered_models, name)
    if model is None:
        raise Reject(Reason.UNKNOWN_SUBJECT, f"there is no registered model named {name!r}")
    return model


def version_of(fold: Fold, name: str, version: int) -> Row:
    """Return the version of a registered model; `Reject` when there is none."""
    # Numbers past 32 bits are none that PostgreSQL could look up.
    row = fold.rows.get(tables.model_versions, name, version) if 0 < version < 2**31 else None
    if row is None:
        raise Reject(Reason.UNKNOWN_SUBJECT, f"Model Version (name={name}, version={version}) not found")
    return row
