"""What registered models, their versions, tags and stages may be called, as in MLflow (`mlflow.utils.validation`)."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from mltrail_api.mlflow.limits import refuse, refuse_key
from mltrail_api.mlflow.wire import KeyValue
from mltrail_core.errors import Invalid
from mltrail_core.rules import text_fault

MAX_DESCRIPTION_CHARACTERS = 5000
MAX_URI_CHARACTERS = 500
_MAX_NAME_CHARACTERS = 256
_MAX_TAG_CHARACTERS = 100_000
_PROMPT_TAG = "mlflow.prompt.is_prompt"

STAGES = ("None", "Staging", "Production", "Archived")


def refuse_model_name(name: str) -> None:
    """Raise `Invalid` when no registered model can have this name."""
    if not name.strip():
        raise Invalid("Missing value for required parameter 'name'. A registered model needs a name.")
    if "/" in name or ":" in name:
        raise Invalid(f"Invalid model name '{name[:300]}'. Names cannot contain '/' or ':'.")
    if posixpath.normpath(name) != name or name in (".", ".."):
        raise Invalid(f"Invalid value {name[:300]!r} for parameter 'name' supplied: it is read as a path; use another")
    refuse(text_fault("registered model's name", name, _MAX_NAME_CHARACTERS))


def registry_tags(tags: Sequence[KeyValue]) -> dict[str, str]:
    """Return tags by key, the last value of each.

    Raises:
        Invalid: a key or value that no tag can have, or the tag that makes a prompt of a model.
    """
    for tag in tags:
        refuse_key("tag", tag.key)
        refuse(text_fault(f"value of tag {tag.key!r}", tag.text, _MAX_TAG_CHARACTERS))
    found = {tag.key: tag.text for tag in tags}
    if found.get(_PROMPT_TAG, "false").lower() == "true":
        raise Invalid("Prompts are not kept by this server; register models only")
    return found


def stage_named(name: str) -> str:
    """Return a stage as it is written, however its letters are; `Invalid` when there is no such stage."""
    for stage in STAGES:
        if stage.lower() == name.lower():
            return stage
    raise Invalid(f"Invalid Model Version stage: {name[:300]}. Value must be one of {', '.join(STAGES)}.")


def version_number(text: str) -> int:
    """Return the number of a model version; `Invalid` when it is none."""
    try:
        return int(text)
    except ValueError:
        raise Invalid(f"Parameter 'version' must be an integer, got '{text[:300]}'.") from None
