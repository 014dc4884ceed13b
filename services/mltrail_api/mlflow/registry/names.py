"""What models of the registry, versions, tags, aliases and stages may be called: checked before an append."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mltrail_api.mlflow.limits import refuse
from mltrail_api.mlflow.wire import KeyValue
from mltrail_core.errors import Invalid
from mltrail_core.registry_rules import (
    STAGE_ARCHIVED,
    STAGE_NONE,
    alias_fault,
    model_name_fault,
    registry_tag_fault,
    reserved_alias_fault,
)

MAX_DESCRIPTION_CHARACTERS = 5000
MAX_URI_CHARACTERS = 500
MAX_VERSION = 2**31 - 1
"""No greater number is ever given out, and PostgreSQL could not look one up."""
_PROMPT_TAG = "mlflow.prompt.is_prompt"


def refuse_model_name(name: str) -> None:
    """Raise `Invalid` when no registered model can have this name."""
    refuse(model_name_fault(name))


def refuse_alias(alias: str) -> None:
    """Raise `Invalid` when no alias can be called so."""
    refuse(alias_fault(alias))


def refuse_new_alias(alias: str) -> None:
    """Raise `Invalid` when no alias may be set under this name."""
    refuse(alias_fault(alias))
    refuse(reserved_alias_fault(alias))


def refuse_registry_tag(key: str, value: str) -> None:
    """Raise `Invalid` when no model can have this tag, or when it would make a prompt of one."""
    refuse(registry_tag_fault(key, value))
    if key == _PROMPT_TAG and value.lower() == "true":
        raise Invalid("Prompts are not kept by this server; register models only")


def registry_tags(tags: Sequence[KeyValue]) -> dict[str, str]:
    """Return tags by key, the last value of each.

    Raises:
        Invalid: a key or value that no tag can have, or the tag that makes a prompt of a model.
    """
    found = {tag.key: tag.text for tag in tags}
    for tag in tags:
        refuse(registry_tag_fault(tag.key, tag.text))
    for key, value in found.items():
        refuse_registry_tag(key, value)
    return found


def stage_named(name: str, stages: Collection[str]) -> str:
    """Return a stage as it is written, however its letters are; `Invalid` when it is not one of `stages`."""
    for stage in stages:
        if stage.lower() == name.lower():
            return stage
    raise Invalid(f"Invalid Model Version stage: {name[:300]}. Value must be one of {', '.join(stages)}.")


def archived_by(stage: str) -> str:
    """Return the stage that others go to when a version alone is to be in `stage`; `Invalid` for None and Archived."""
    if stage in (STAGE_NONE, STAGE_ARCHIVED):
        raise Invalid(
            f"Model version transition cannot archive existing model versions because '{stage}' is not an Active "
            "stage; leave archive_existing_versions out"
        )
    return STAGE_ARCHIVED


def version_number(text: str) -> int:
    """Return the number of a model version; `Invalid` when it is none."""
    try:
        return int(text)
    except ValueError:
        raise Invalid(f"Parameter 'version' must be an integer, got '{text[:300]}'.") from None
