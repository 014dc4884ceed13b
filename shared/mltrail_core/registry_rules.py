"""What models, stages, aliases and tags of the registry may be called: pure, and fixed for a record format for ever.

Which stages there are is a setting of the server, so the API checks it; the fold takes every stage that is well formed.
Limits are those of MLflow 3 (`mlflow.utils.validation`).
"""

from __future__ import annotations

import posixpath
import re

from mltrail_core.errors import Invalid
from mltrail_core.rules import key_fault, text_fault

MAX_MODEL_NAME_CHARACTERS = 256
MAX_REGISTRY_TAG_CHARACTERS = 100_000
MAX_ALIAS_CHARACTERS = 255
MAX_STAGE_CHARACTERS = 64

STAGE_NONE, STAGE_STAGING, STAGE_PRODUCTION, STAGE_ARCHIVED = "None", "Staging", "Production", "Archived"
STOCK_STAGES = (STAGE_NONE, STAGE_STAGING, STAGE_PRODUCTION, STAGE_ARCHIVED)
"""The stages that MLflow has; a server may be told of more."""

_ALIAS = re.compile(r"[\w\-]+")
_VERSION_ALIAS = re.compile(r"[vV]\d+")
_STAGE = re.compile(r"\w(?:[\w .\-]*\w)?")


def model_name_fault(name: str) -> str | None:
    """Return what is wrong with a registered model's name, or None: it becomes a part of `models:/name/version`."""
    if not name.strip():
        return "the registered model's name is empty"
    if "/" in name or ":" in name:
        return f"Invalid model name '{name[:300]}'. Names cannot contain '/' or ':'."
    if posixpath.normpath(name) != name or name in (".", ".."):
        return f"Invalid value {name[:300]!r} for parameter 'name' supplied: it is read as a path; use another"
    return text_fault("registered model's name", name, MAX_MODEL_NAME_CHARACTERS)


def registry_tag_fault(key: str, value: str) -> str | None:
    """Return what is wrong with a tag of a registered model or version, or None."""
    fault = key_fault(key)
    if fault is not None:
        return f"tag {key[:300]!r}: {fault}"
    return text_fault(f"value of tag {key!r}", value, MAX_REGISTRY_TAG_CHARACTERS)


def alias_fault(alias: str) -> str | None:
    """Return what is wrong with an alias that is asked for, or None: letters, digits, `_` and `-`."""
    if not alias:
        return "Registered model alias name cannot be empty."
    if not _ALIAS.fullmatch(alias):
        return f"Invalid alias name: '{alias[:300]}'. Names may only contain letters, digits, underscores and dashes."
    return text_fault("registered model alias", alias, MAX_ALIAS_CHARACTERS)


def reserved_alias_fault(alias: str) -> str | None:
    """Return why nobody may set an alias, or None: `latest` and `v1` would say something else than they seem to."""
    if alias.lower() == "latest":
        return "'latest' alias name (case insensitive) is reserved."
    if _VERSION_ALIAS.fullmatch(alias):
        return f"Version alias name '{alias}' is reserved."
    return None


def stage_fault(stage: str) -> str | None:
    """Return what is wrong with the form of a stage's name, or None."""
    if len(stage) > MAX_STAGE_CHARACTERS or not _STAGE.fullmatch(stage):
        return (
            f"{stage[:300]!r} is no name of a stage: expected 1 to {MAX_STAGE_CHARACTERS} letters, digits, "
            "underscores, dashes, dots and inner spaces"
        )
    return None


def stages_with(custom: str | None) -> tuple[str, ...]:
    """Return MLflow's stages and those of a setting, which has commas between them.

    Raises:
        Invalid: one is malformed, or there twice (upper and lower case count as one).
    """
    stages = list(STOCK_STAGES)
    for stage in [part.strip() for part in (custom or "").split(",") if part.strip()]:
        fault = stage_fault(stage)
        if fault is None and stage.lower() in [known.lower() for known in (*stages, "Deleted_Internal")]:
            fault = f"the stage {stage!r} is there already, or MLflow's own; give each stage once"
        if fault is not None:
            raise Invalid(fault)
        stages.append(stage)
    return tuple(stages)
