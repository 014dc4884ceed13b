"""What the events of runs change; they stand in the partition of the run's id."""

from __future__ import annotations

import json

from sqlalchemy import Table

from mltrail_core.errors import Invalid
from mltrail_core.events import (
    DatasetInputLogged,
    MetricsLogged,
    ModelInputLogged,
    ModelOutputLogged,
    ParamLogged,
    RunCreated,
    RunDeleted,
    RunRenamed,
    RunRestored,
    RunStatusChanged,
    TagDeleted,
    TagSet,
)
from mltrail_core.metric_block import block_of_event, check_columns
from mltrail_core.readmodel import tables
from mltrail_core.rules import (
    MAX_PARAM_CHARACTERS,
    MAX_TAG_CHARACTERS,
    RUN_STATUSES,
    Reason,
    dataset_fault,
    key_fault,
    param_change_message,
    text_fault,
)
from mltrail_projector.catalogue import UNANNOUNCED
from mltrail_projector.fold import Fold, Place, Reject, refuse
from mltrail_projector.handlers import liveness
from mltrail_projector.memory import Kind
from mltrail_projector.rows import Row

RUN_NAME_TAG = "mlflow.runName"
"""MLflow keeps the run's name in this tag too: setting one sets the other."""
MAX_SOUND_KEYS = 65_536
"""Of metrics, remembered so that they need no second look: a thousand of them in a record cost 5 ms, again and again.
They have at most 250 characters each, so this is 20 MB at most."""
_sound_keys: set[str] = set()

_TABLES_OF_KEYS: dict[Kind, Table] = {"metric": tables.metric_summaries, "param": tables.params, "tag": tables.tags}


def created(event: RunCreated, fold: Fold, place: Place) -> None:
    """A run begins, or one that others wrote to before it began is announced. Whether its experiment exists is not
    asked here: that is another partition's."""
    early = fold.rows.get(tables.runs, event.run_id)
    if early is not None and early["experiment_id"] != UNANNOUNCED:
        raise Reject(Reason.ALREADY_EXISTS, f"there is a run {event.run_id} already")
    row = _unannounced(event.run_id, place) if early is None else early
    name = row["name"] or event.name
    fold.rows.update(
        tables.runs,
        row,
        experiment_id=event.experiment_id,
        name=name,
        user=event.user,
        started_us=event.started_us,
        actor=place.actor,
        actor_known=place.actor_known,
    )
    fold.rows.put(tables.tags, {"run_id": event.run_id, "key": RUN_NAME_TAG, "value": name})
    fold.catalogue.note(event.experiment_id, "tag", place.partition, (RUN_NAME_TAG,))
    if early is not None:
        _note_early_keys(event, fold, place)


def renamed(event: RunRenamed, fold: Fold, place: Place) -> None:
    """The run and its name tag have this name."""
    row = _active(fold, event.run_id, place)
    fold.rows.update(tables.runs, row, name=event.name)
    fold.rows.put(tables.tags, {"run_id": event.run_id, "key": RUN_NAME_TAG, "value": event.name})


def status_changed(event: RunStatusChanged, fold: Fold, place: Place) -> None:
    """The run has this status and, where one is given, this end; it is lost no more."""
    if event.status not in RUN_STATUSES:
        raise Reject(Reason.INVALID, f"{event.status!r} is no status of a run; expected one of {RUN_STATUSES}")
    row = _active(fold, event.run_id, place)
    ended_us = row["ended_us"] if event.ended_us is None else event.ended_us
    fold.rows.update(tables.runs, row, status=event.status, ended_us=ended_us)
    liveness.find(event.run_id, fold)


def deleted(event: RunDeleted, fold: Fold, place: Place) -> None:
    """The run counts as deleted; deleting it again changes nothing."""
    row = _known(fold, event.run_id, place)
    if not row["is_deleted"]:
        fold.rows.update(tables.runs, row, is_deleted=True, deleted_us=place.appended_us)


def restored(event: RunRestored, fold: Fold, place: Place) -> None:
    """The run is active; restoring an active run changes nothing."""
    row = _known(fold, event.run_id, place)
    fold.rows.update(tables.runs, row, is_deleted=False, deleted_us=None)


def tag_set(event: TagSet, fold: Fold, place: Place) -> None:
    """The tag has this value; the name tag names the run."""
    refuse(Reason.INVALID, key_fault(event.key))
    refuse(Reason.INVALID, text_fault(f"value of tag {event.key!r}", event.value, MAX_TAG_CHARACTERS))
    row = _active(fold, event.run_id, place)
    fold.rows.put(tables.tags, {"run_id": event.run_id, "key": event.key, "value": event.value})
    fold.catalogue.note(row["experiment_id"], "tag", place.partition, (event.key,))
    if event.key == RUN_NAME_TAG:
        fold.rows.update(tables.runs, row, name=event.value)


def tag_deleted(event: TagDeleted, fold: Fold, place: Place) -> None:
    """The tag is gone."""
    _active(fold, event.run_id, place)
    if fold.rows.get(tables.tags, event.run_id, event.key) is None:
        raise Reject(Reason.NOT_THERE, f"run {event.run_id} has no tag {event.key!r}")
    fold.rows.delete(tables.tags, event.run_id, event.key)


def param_logged(event: ParamLogged, fold: Fold, place: Place) -> None:
    """The param has this value, for ever."""
    refuse(Reason.INVALID, key_fault(event.key))
    refuse(Reason.INVALID, text_fault(f"value of param {event.key!r}", event.value, MAX_PARAM_CHARACTERS))
    row = _active(fold, event.run_id, place)
    known = fold.rows.get(tables.params, event.run_id, event.key)
    if known is None:
        fold.rows.put(tables.params, {"run_id": event.run_id, "key": event.key, "value": event.value})
        fold.catalogue.note(row["experiment_id"], "param", place.partition, (event.key,))
    elif known["value"] != event.value:
        message = param_change_message(event.run_id, event.key, str(known["value"]), event.value)
        raise Reject(Reason.PARAM_CHANGED, message)


def metrics_logged(event: MetricsLogged, fold: Fold, place: Place) -> None:
    """The points are the run's; those linked to a logged model are also the model's."""
    try:
        check_columns(event)
    except Invalid as error:
        raise Reject(Reason.INVALID, str(error)) from error
    _refuse_faulty_keys(event.keys)
    if len(event.keys) > 1 and len(set(event.keys)) != len(event.keys):
        raise Reject(Reason.INVALID, "a key stands twice in the dictionary of a metric block")
    if event.dataset_name is not None or event.dataset_digest is not None:
        refuse(Reason.INVALID, dataset_fault(event.dataset_name or "", event.dataset_digest or ""))
    _active(fold, event.run_id, place)
    fold.points.add(event, place.index)
    if event.model_id is not None:
        _link_to_model(event, fold)


def dataset_input_logged(event: DatasetInputLogged, fold: Fold, place: Place) -> None:
    """The run read this dataset; saying it again changes nothing, other tags neither, as in MLflow's `log_inputs`."""
    refuse(Reason.INVALID, dataset_fault(event.name, event.digest))
    _active(fold, event.run_id, place)
    if fold.rows.get(tables.dataset_inputs, event.run_id, event.name, event.digest) is not None:
        return
    fold.rows.put(
        tables.dataset_inputs,
        {
            "run_id": event.run_id,
            "name": event.name,
            "digest": event.digest,
            "source_type": event.source_type,
            "source": event.source,
            "schema": event.schema,
            "profile": event.profile,
            "tags": json.dumps(dict(event.tags), sort_keys=True),
        },
    )


def model_input_logged(event: ModelInputLogged, fold: Fold, place: Place) -> None:
    """The run read this logged model."""
    _active(fold, event.run_id, place)
    fold.rows.put(tables.model_inputs, {"run_id": event.run_id, "model_id": event.model_id})


def model_output_logged(event: ModelOutputLogged, fold: Fold, place: Place) -> None:
    """The run produced this logged model at this step."""
    _active(fold, event.run_id, place)
    output: Row = {"run_id": event.run_id, "model_id": event.model_id, "step": event.step}
    fold.rows.put(tables.model_outputs, output)


def _note_early_keys(event: RunCreated, fold: Fold, place: Place) -> None:
    """Note the keys that came before the run's experiment was known; a tag that is gone by now leaves none. Points of
    the transaction under way are noted at its end."""
    for kind, table in _TABLES_OF_KEYS.items():
        keys = [str(found["key"]) for found in fold.rows.select(table, run_id=event.run_id)]
        fold.catalogue.note(event.experiment_id, kind, place.partition, keys)


def _link_to_model(event: MetricsLogged, fold: Fold) -> None:
    for point in block_of_event(event).points():
        fold.rows.put(
            tables.logged_model_metrics,
            {
                "model_id": event.model_id,
                "run_id": event.run_id,
                "key": point.key,
                "dataset_name": event.dataset_name or "",
                "dataset_digest": event.dataset_digest or "",
                "step": point.step,
                "time_us": point.time_us,
                "value": None
                if point.value != point.value
                else point.value + 0.0,  # -0.0 becomes 0.0, as SQLite has it
            },
        )


def _refuse_faulty_keys(keys: tuple[str, ...]) -> None:
    if _sound_keys.issuperset(keys):
        return
    for key in keys:
        refuse(Reason.INVALID, key_fault(key))
    if len(_sound_keys) + len(keys) > MAX_SOUND_KEYS:
        _sound_keys.clear()
    if len(keys) <= MAX_SOUND_KEYS:
        _sound_keys.update(keys)


def _known(fold: Fold, run_id: str, place: Place) -> Row:
    """Return the run's row; nothing that a producer said is lost only because it came before the run's creation."""
    row = fold.rows.get(tables.runs, run_id)
    if row is not None:
        return row
    row = _unannounced(run_id, place)
    fold.rows.put(tables.runs, row)
    return row


def _unannounced(run_id: str, place: Place) -> Row:
    return {
        "run_id": run_id,
        "experiment_id": UNANNOUNCED,
        "name": "",
        "user": "",
        "status": "RUNNING",
        "started_us": place.appended_us,
        "ended_us": None,
        "is_deleted": False,
        "deleted_us": None,
        "created_us": place.appended_us,
        "actor": place.actor,
        "actor_known": place.actor_known,
    }


def _active(fold: Fold, run_id: str, place: Place) -> Row:
    row = _known(fold, run_id, place)
    if row["is_deleted"]:
        raise Reject(Reason.SUBJECT_DELETED, f"run {run_id} is deleted; restore it to write to it")
    return row
