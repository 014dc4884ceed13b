"""What the events of logged models change; they stand in the partition of the model's id."""

from __future__ import annotations

from mltrail_core.events import (
    LoggedModelCreated,
    LoggedModelDeleted,
    LoggedModelFinalized,
    LoggedModelParamLogged,
    LoggedModelTagDeleted,
    LoggedModelTagSet,
)
from mltrail_core.readmodel import tables
from mltrail_core.rules import (
    LOGGED_MODEL_PENDING,
    LOGGED_MODEL_STATUSES,
    MAX_PARAM_CHARACTERS,
    MAX_TAG_CHARACTERS,
    Reason,
    key_fault,
    text_fault,
)
from mltrail_projector.fold import Fold, Place, Reject, refuse
from mltrail_projector.rows import Row


def created(event: LoggedModelCreated, fold: Fold, place: Place) -> None:
    """A model begins, pending."""
    if fold.rows.get(tables.logged_models, event.model_id) is not None:
        raise Reject(Reason.ALREADY_EXISTS, f"there is a logged model {event.model_id} already")
    fold.rows.put(
        tables.logged_models,
        {
            "model_id": event.model_id,
            "experiment_id": event.experiment_id,
            "name": event.name,
            "model_type": event.model_type,
            "source_run_id": event.source_run_id,
            "status": LOGGED_MODEL_PENDING,
            "created_us": place.appended_us if event.created_us is None else event.created_us,
            "updated_us": place.appended_us,
        },
    )


def finalized(event: LoggedModelFinalized, fold: Fold, place: Place) -> None:
    """The model has this status."""
    if event.status not in LOGGED_MODEL_STATUSES:
        message = f"{event.status!r} is no status of a logged model; expected one of {LOGGED_MODEL_STATUSES}"
        raise Reject(Reason.INVALID, message)
    row = _known(fold, event.model_id)
    fold.rows.update(tables.logged_models, row, status=event.status, updated_us=place.appended_us)


def deleted(event: LoggedModelDeleted, fold: Fold, place: Place) -> None:
    """The model is found no more; the first deletion counts."""
    row = _known(fold, event.model_id)
    if fold.rows.get(tables.deleted_logged_models, event.model_id) is None:
        deletion: Row = {"model_id": event.model_id, "deleted_us": place.appended_us}
        fold.rows.put(tables.deleted_logged_models, deletion)
        fold.rows.update(tables.logged_models, row, updated_us=place.appended_us)


def param_logged(event: LoggedModelParamLogged, fold: Fold, place: Place) -> None:
    """The param has this value, for ever."""
    refuse(Reason.INVALID, key_fault(event.key))
    refuse(Reason.INVALID, text_fault(f"value of param {event.key!r}", event.value, MAX_PARAM_CHARACTERS))
    _known(fold, event.model_id)
    known = fold.rows.get(tables.logged_model_params, event.model_id, event.key)
    if known is not None and known["value"] != event.value:
        message = f"logged model {event.model_id}: param {event.key!r} has the value {known['value']!r} already"
        raise Reject(Reason.PARAM_CHANGED, message)
    param: Row = {"model_id": event.model_id, "key": event.key, "value": event.value}
    fold.rows.put(tables.logged_model_params, param)


def tag_set(event: LoggedModelTagSet, fold: Fold, place: Place) -> None:
    """The tag has this value."""
    refuse(Reason.INVALID, key_fault(event.key))
    refuse(Reason.INVALID, text_fault(f"value of tag {event.key!r}", event.value, MAX_TAG_CHARACTERS))
    row = _known(fold, event.model_id)
    tag: Row = {"model_id": event.model_id, "key": event.key, "value": event.value}
    fold.rows.put(tables.logged_model_tags, tag)
    fold.rows.update(tables.logged_models, row, updated_us=place.appended_us)


def tag_deleted(event: LoggedModelTagDeleted, fold: Fold, place: Place) -> None:
    """The tag is gone."""
    _known(fold, event.model_id)
    if fold.rows.get(tables.logged_model_tags, event.model_id, event.key) is None:
        raise Reject(Reason.NOT_THERE, f"logged model {event.model_id} has no tag {event.key!r}")
    fold.rows.delete(tables.logged_model_tags, event.model_id, event.key)


def _known(fold: Fold, model_id: str) -> Row:
    row = fold.rows.get(tables.logged_models, model_id)
    if row is None:
        raise Reject(Reason.UNKNOWN_SUBJECT, f"there is no logged model {model_id}")
    return row
