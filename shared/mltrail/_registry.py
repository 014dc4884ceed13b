"""The functions that change the model registry: each sends its events like everything else, and returns at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NoReturn, TypeVar

from mltrail._arguments import checked_path, checked_run_id
from mltrail._fluent import active_run, current_session
from mltrail._outcome import Outcome
from mltrail._reader import Decision
from mltrail_core.clock import now_us
from mltrail_core.errors import Unavailable
from mltrail_core.events import AliasDeleted, AliasSet, ModelVersionCreated, RegisteredModelEnsured, StageChanged
from mltrail_core.registry_rules import (
    STAGE_ARCHIVED,
    STAGE_NONE,
    STOCK_STAGES,
    alias_fault,
    model_name_fault,
    registry_tag_fault,
    reserved_alias_fault,
    stage_fault,
)
from mltrail_core.rules import text_fault

if TYPE_CHECKING:
    from mltrail_core.events import Event

MAX_SOURCE_CHARACTERS = 500
MAX_DESCRIPTION_CHARACTERS = 5000
"""As the API has them, and MLflow."""
MAX_VERSION = 2**31 - 1

T = TypeVar("T")

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+:")
_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")


def register_model(
    source: str,
    name: str,
    *,
    run_id: str | None = None,
    description: str | None = None,
    tags: Mapping[str, object] | None = None,
) -> Outcome[int]:
    """Register a new version of a model, and the model too when there is none of this name; returns at once.

    Args:
        source: where the files are: the path of a logged artifact in the active run (or `run_id`) such as `"model"`;
            `runs:/<run id>/model`; `models:/m-…` for a logged model; or the URI of a place that others reach, `s3://…`.
        name: the registered model's name.
        run_id: the run that made it; None takes that of the source, else the active run if there is one.
        description: of the version.
        tags: of the version.

    Returns:
        The outcome, whose `result()` is the version's number.

    Raises:
        ValueError, TypeError: an argument is not valid.
    """
    name = _name(name)
    uri, run_id, model_id = _resolved(source, run_id)
    pairs = tuple((_text("tag's key", key), str(value)) for key, value in (tags or {}).items())
    for key, value in pairs:
        _refuse(registry_tag_fault(key, value))
    _refuse(text_fault("description", description or "", MAX_DESCRIPTION_CHARACTERS))
    at_us = now_us()
    return _change(
        f"a version of the registered model {name!r}",
        _number,
        RegisteredModelEnsured(at_us, name),
        ModelVersionCreated(
            at_us, name, uri, uri, run_id=run_id, model_id=model_id, description=description, tags=pairs
        ),
        model=name,
    )


def transition_stage(name: str, version: int, stage: str, *, archive_existing_versions: bool = False) -> Outcome[None]:
    """Bring a version of a registered model to a stage; returns at once.

    Args:
        name: the registered model's name.
        version: the version's number.
        stage: None, Staging, Production or Archived, or a stage of the server's own.
        archive_existing_versions: all others that are in the stage go to Archived at the same moment.

    Raises:
        ValueError, TypeError: an argument is not valid.
    """
    name, version = _name(name), _version(version)
    stage = _text("stage", stage)
    _refuse(stage_fault(stage))
    stage = {known.lower(): known for known in STOCK_STAGES}.get(stage.lower(), stage)
    if archive_existing_versions and stage in (STAGE_NONE, STAGE_ARCHIVED):
        raise ValueError(f"others can't be archived when a version goes to {stage!r}; leave archive_existing_versions")
    others_to = STAGE_ARCHIVED if archive_existing_versions else None
    what = f"stage {stage!r} of version {version} of {name!r}"
    return _change(what, _nothing, StageChanged(now_us(), name, version, stage, others_to))


def set_alias(name: str, alias: str, version: int) -> Outcome[None]:
    """Let an alias of a registered model name a version, whichever it named before; returns at once.

    Raises:
        ValueError, TypeError: an argument is not valid.
    """
    name, alias, version = _name(name), _alias(alias), _version(version)
    _refuse(reserved_alias_fault(alias))
    return _change(f"alias {alias!r} of {name!r}", _nothing, AliasSet(now_us(), name, alias, version))


def delete_alias(name: str, alias: str) -> Outcome[None]:
    """Let an alias of a registered model name nothing; returns at once. One that named nothing is accepted too.

    Raises:
        ValueError, TypeError: an argument is not valid.
    """
    name, alias = _name(name), _alias(alias)
    return _change(f"deleting alias {alias!r} of {name!r}", _nothing, AliasDeleted(now_us(), name, alias))


def _resolved(source: str, run_id: str | None) -> tuple[str, str | None, str | None]:
    """Return the URI of the files, and the run and the logged model that made them."""
    source = _text("source", source)
    if not source.strip() or len(source) > MAX_SOURCE_CHARACTERS:
        raise ValueError(f"the source {source[:100]!r} should have 1 to {MAX_SOURCE_CHARACTERS} characters")
    run = active_run()
    made_by = checked_run_id(run_id) if run_id is not None else None if run is None else run.id
    scheme, _, rest = source.partition(":")
    if not _SCHEME.match(source):
        if source.startswith("/") or "\\" in source:
            _refuse_local(source)
        if made_by is None:
            raise ValueError(
                f"{source!r} is a path in a run, and no run is active; give run_id=…, or runs:/<run id>/{source}"
            )
        return f"runs:/{made_by}/{checked_path(source.rstrip('/'))}", made_by, None
    match scheme.lower():
        case "file":
            _refuse_local(source)
        case "runs":
            owner, separator, path = rest.lstrip("/").partition("/")
            if not separator or not path:
                raise ValueError(f"{source!r} names no files of a run; expected runs:/<run id>/<path>")
            owner = checked_run_id(owner)
            if run_id is not None and run_id != owner:
                raise ValueError(f"{source!r} is not of the run {run_id!r}; leave run_id out")
            return f"runs:/{owner}/{checked_path(path.rstrip('/'))}", owner, None
        case "models":
            model_id = rest.lstrip("/")
            if not _MODEL_ID.fullmatch(model_id):
                raise ValueError(f"{source!r} is no logged model; expected models:/m-…, or the URI of the files")
            return f"models:/{model_id}", made_by, model_id
    return source, made_by, None


def _refuse_local(source: str) -> NoReturn:
    raise ValueError(
        f"{source!r} is on this machine, where others don't reach it; log it and register what was logged: "
        "run.log_artifacts(folder, 'model'); mltrail.register_model('model', name)"
    )


def _change(what: str, value_of: Callable[[Decision], T], *events: Event, model: str | None = None) -> Outcome[T]:
    session = current_session()
    return Outcome(session, session.say_to_control(*events), what, value_of, model)


def _number(decision: Decision) -> int:
    if decision.version is None:
        raise Unavailable("the version was accepted, and its number can't be found; see `mltrail registry history`")
    return decision.version


def _nothing(decision: Decision) -> None:
    return None


def _name(name: object) -> str:
    checked = _text("registered model's name", name)
    _refuse(model_name_fault(checked))
    return checked


def _alias(alias: object) -> str:
    checked = _text("alias", alias)
    _refuse(alias_fault(checked))
    return checked


def _version(version: object) -> int:
    if isinstance(version, bool) or not isinstance(version, int):
        raise TypeError(
            f"the version should be an int, found {type(version).__name__}: {version!r}; "
            "register_model(…).result() is one"
        )
    if not 0 < version <= MAX_VERSION:
        raise ValueError(f"{version} is no number of a version; they count from 1")
    return version


def _text(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"the {what} should be a str, found {type(value).__name__}: {value!r}")
    return str(value)


def _refuse(fault: str | None) -> None:
    if fault is not None:
        raise ValueError(fault)
