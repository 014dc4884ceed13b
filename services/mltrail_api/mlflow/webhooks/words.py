"""A webhook's events as MLflow's protocol spells them: an entity and an action, each by its name or number."""

from __future__ import annotations

from collections.abc import Sequence

from mltrail_api.mlflow.webhooks.requests import EventWanted
from mltrail_core.errors import Invalid
from mltrail_core.webhook_rules import STATUSES, WEBHOOK_EVENTS, webhook_events_fault

_ENTITIES = (
    "ENTITY_UNSPECIFIED",
    "REGISTERED_MODEL",
    "MODEL_VERSION",
    "MODEL_VERSION_TAG",
    "MODEL_VERSION_ALIAS",
    "PROMPT",
    "PROMPT_VERSION",
    "PROMPT_TAG",
    "PROMPT_VERSION_TAG",
    "PROMPT_ALIAS",
    "BUDGET_POLICY",
)
_ACTIONS = ("ACTION_UNSPECIFIED", "CREATED", "UPDATED", "DELETED", "SET", "EXCEEDED")
"""In the order of their numbers. `STAGE_CHANGED` is ours and has only its name."""


def words_of(events: Sequence[EventWanted]) -> tuple[str, ...]:
    """Return the events as the log names them, each once and sorted, which is the order that stock answers in.

    Raises:
        Invalid: there is none, or MLflow has no such entity, action or pair of them, and neither have we.
    """
    words = [word_of(event) for event in events]
    fault = webhook_events_fault(words)
    if fault is not None:
        raise Invalid(fault)
    return tuple(sorted(set(words), key=lambda word: word.split(".")))


def word_of(event: EventWanted) -> str:
    """Return an event as the log names it.

    Raises:
        Invalid: there is no such event.
    """
    entity, action = _name(event.entity, _ENTITIES, "entity"), _name(event.action, _ACTIONS, "action")
    word = f"{entity}.{action}".lower()
    if word not in WEBHOOK_EVENTS:
        actions = sorted(known.split(".")[1] for known in WEBHOOK_EVENTS if known.split(".")[0] == entity.lower())
        raise Invalid(f"Invalid action '{action.lower()}' for entity '{entity.lower()}'. Valid actions are: {actions}")
    return word


def event_json(word: str) -> dict[str, object]:
    """Return an event as MLflow's protocol spells it."""
    entity, action = word.upper().split(".")
    return {"entity": entity, "action": action}


def status_of(status: str) -> str:
    """Return the status that a request names.

    Raises:
        Invalid: there is no such status.
    """
    if status not in STATUSES:
        raise Invalid(
            f"Invalid value {status[:100]!r} for parameter 'status' supplied: expected {' or '.join(STATUSES)}"
        )
    return status


def _name(value: str | int, names: tuple[str, ...], what: str) -> str:
    if isinstance(value, int):
        if not 0 <= value < len(names):
            raise Invalid(f"{value} is no {what} of a webhook's event; expected one of {', '.join(names[1:])}")
        return names[value]
    return value or names[0]
