"""What webhooks are told: one delivery for each active webhook that asked for what an accepted registry event says.

Words and payloads are those of MLflow (`mlflow.webhooks.types`, `mlflow.server.handlers`), which tells prompts, kept as
registered models with a tag, apart from models. The fold decides it, so it makes no difference who appended the event,
and a webhook is told of nothing that stands before its own creation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mltrail_core.events import (
    AliasDeleted,
    AliasSet,
    Event,
    ModelVersionCreated,
    ModelVersionTagDeleted,
    ModelVersionTagSet,
    RegisteredModelCreated,
    RegisteredModelEnsured,
    RegisteredModelTagDeleted,
    RegisteredModelTagSet,
    StageChanged,
)
from mltrail_core.readmodel import tables
from mltrail_core.webhook_rules import ACTIVE, PENDING, STAGE_CHANGED, delivery_id_of
from mltrail_projector.fold import Fold, Place
from mltrail_projector.rows import Row

IS_PROMPT_TAG = "mlflow.prompt.is_prompt"
PROMPT_TYPE_TAG = "_mlflow_prompt_type"
PROMPT_TEXT_TAG = "mlflow.prompt.text"

Told = tuple[str, Mapping[str, object]]
"""The word of a webhook's event, and its payload."""


def tell_webhooks(event: Event, fold: Fold, place: Place) -> None:
    """Add the deliveries that follow from an event which was accepted a moment ago."""
    describe = _TOLD.get(event.WIRE_NAME)
    if describe is None:
        return
    for part, (word, payload) in enumerate(describe(event, fold, place)):
        for subscription in fold.rows.select(tables.webhook_subscriptions, event=word):
            webhook_id = str(subscription["webhook_id"])
            webhook = fold.rows.get(tables.webhooks, webhook_id)
            if webhook is not None and webhook["status"] == ACTIVE:
                fold.rows.put(tables.webhook_deliveries, _delivery(webhook_id, place, part, word, payload))


def _delivery(webhook_id: str, place: Place, part: int, word: str, payload: Mapping[str, object]) -> Row:
    return {
        "delivery_id": delivery_id_of(webhook_id, place.index, place.number, part),
        "webhook_id": webhook_id,
        "index": place.index,
        "number": place.number,
        "part": part,
        "event": word,
        "payload": json.dumps(payload),
        "appended_us": place.appended_us,
        "state": PENDING,
        "turn": 1,
        "attempts": 0,
        "turn_attempts": 0,
        "due_us": place.appended_us,
    }


def _model_created(event: RegisteredModelCreated | RegisteredModelEnsured, fold: Fold, place: Place) -> Iterator[Told]:
    if not _changes(fold, place):
        return  # ensured, and there already
    tags, description = ({}, "") if isinstance(event, RegisteredModelEnsured) else (dict(event.tags), event.description)
    is_prompt = _says_prompt(tags.get(IS_PROMPT_TAG))
    if is_prompt:
        tags = {key: value for key, value in tags.items() if key not in (IS_PROMPT_TAG, PROMPT_TYPE_TAG)}
    word = "prompt.created" if is_prompt else "registered_model.created"
    yield word, {"name": event.name, "tags": tags, "description": description or ""}


def _version_created(event: ModelVersionCreated, fold: Fold, place: Place) -> Iterator[Told]:
    [first] = _changes(fold, place)[:1]  # with the number that the fold has given it
    tags = dict(event.tags)
    named = {"name": event.name, "version": str(first["version"])}
    description = event.description or None
    if _says_prompt(tags.get(IS_PROMPT_TAG)):
        text = tags.get(PROMPT_TEXT_TAG)
        hidden = (IS_PROMPT_TAG, PROMPT_TYPE_TAG, PROMPT_TEXT_TAG)
        shown = {key: value for key, value in tags.items() if key not in hidden}
        yield "prompt_version.created", {**named, "template": text, "tags": shown, "description": description}
        return
    origin = {"source": event.source, "run_id": event.run_id or None}
    yield "model_version.created", {**named, **origin, "tags": tags, "description": description}


def _model_tag_set(event: RegisteredModelTagSet, fold: Fold, _: Place) -> Iterator[Told]:
    if _is_prompt(fold, event.name):
        yield "prompt_tag.set", {"name": event.name, "key": event.key, "value": event.value}


def _model_tag_deleted(event: RegisteredModelTagDeleted, fold: Fold, _: Place) -> Iterator[Told]:
    if _is_prompt(fold, event.name):
        yield "prompt_tag.deleted", {"name": event.name, "key": event.key}


def _version_tag_set(event: ModelVersionTagSet, fold: Fold, _: Place) -> Iterator[Told]:
    word = "prompt_version_tag.set" if _is_prompt(fold, event.name) else "model_version_tag.set"
    yield word, {"name": event.name, "version": str(event.version), "key": event.key, "value": event.value}


def _version_tag_deleted(event: ModelVersionTagDeleted, fold: Fold, _: Place) -> Iterator[Told]:
    word = "prompt_version_tag.deleted" if _is_prompt(fold, event.name) else "model_version_tag.deleted"
    yield word, {"name": event.name, "version": str(event.version), "key": event.key}


def _alias_set(event: AliasSet, fold: Fold, _: Place) -> Iterator[Told]:
    word = "prompt_alias.created" if _is_prompt(fold, event.name) else "model_version_alias.created"
    yield word, {"name": event.name, "alias": event.alias, "version": str(event.version)}


def _alias_deleted(event: AliasDeleted, fold: Fold, _: Place) -> Iterator[Told]:
    word = "prompt_alias.deleted" if _is_prompt(fold, event.name) else "model_version_alias.deleted"
    yield word, {"name": event.name, "alias": event.alias}


def _stage_changed(event: StageChanged, fold: Fold, place: Place) -> Iterator[Told]:
    """Give one for each version that changed its stage: also those that `others_to` moved, after the one asked for."""
    for row in _changes(fold, place):
        stages = {"from_stage": row["before"], "to_stage": row["after"]}
        yield STAGE_CHANGED, {"name": event.name, "version": str(row["version"]), **stages}


_TOLD: Mapping[str, Callable[[Any, Fold, Place], Iterator[Told]]] = {
    "registered_model_created": _model_created,
    "registered_model_ensured": _model_created,
    "registered_model_tag_set": _model_tag_set,
    "registered_model_tag_deleted": _model_tag_deleted,
    "model_version_created": _version_created,
    "model_version_tag_set": _version_tag_set,
    "model_version_tag_deleted": _version_tag_deleted,
    "alias_set": _alias_set,
    "alias_deleted": _alias_deleted,
    "stage_changed": _stage_changed,
}


def _changes(fold: Fold, place: Place) -> list[Row]:
    """Return what the event that was just applied changed, in order: the registry's own history of it."""
    changes: list[Row] = []
    while row := fold.rows.get(tables.registry_changes, place.index, place.number, len(changes)):
        changes.append(row)
    return changes


def _is_prompt(fold: Fold, name: str) -> bool:
    tag = fold.rows.get(tables.registered_model_tags, name, IS_PROMPT_TAG)
    return tag is not None and _says_prompt(str(tag["value"]))


def _says_prompt(value: str | None) -> bool:
    return value is not None and value.lower() == "true"
