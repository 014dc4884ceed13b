"""What webhooks may be called and asked for: pure, and fixed for a record format for ever.

Names of events and limits are MLflow's (`mlflow.entities.webhook`, `mlflow.utils.validation`), and one event is ours.
Which URLs may be called is a setting of the server, so the API and the jobs check it; the fold takes every URL.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence

from mltrail_core.rules import text_fault

ACTIVE, DISABLED = "ACTIVE", "DISABLED"
STATUSES = (ACTIVE, DISABLED)

STAGE_CHANGED = "model_version.stage_changed"
"""Not an event of MLflow's: its client can't read it, so MLflow's endpoints leave it out of their answers."""

MLFLOW_EVENTS = (
    "registered_model.created",
    "model_version.created",
    "model_version_tag.set",
    "model_version_tag.deleted",
    "model_version_alias.created",
    "model_version_alias.deleted",
    "prompt.created",
    "prompt_version.created",
    "prompt_tag.set",
    "prompt_tag.deleted",
    "prompt_version_tag.set",
    "prompt_version_tag.deleted",
    "prompt_alias.created",
    "prompt_alias.deleted",
    "budget_policy.exceeded",
)
"""What MLflow 3.17 knows. Nothing here has budgets, so a subscription to the last one stays silent."""
WEBHOOK_EVENTS = (*MLFLOW_EVENTS, STAGE_CHANGED)

PENDING, DELIVERED, FAILED, CANCELLED = "pending", "delivered", "failed", "cancelled"
DELIVERY_STATES = (PENDING, DELIVERED, FAILED, CANCELLED)
"""Of a delivery: due now or later; taken by the receiver; given up; its webhook was deleted before it was delivered."""

MAX_NAME_CHARACTERS = 63
MAX_URL_CHARACTERS = 2000
"""Stock's column says 500, which SQLite does not hold it to."""
MAX_DESCRIPTION_CHARACTERS = 10_000
MAX_SECRET_CHARACTERS = 1000

_NAME = re.compile(rf"(?=.{{1,{MAX_NAME_CHARACTERS}}}\Z)[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE | re.ASCII)
_DELIVERIES = uuid.UUID("6f1de9c0-5f0e-4f0c-9f57-3a1d3f8f6c11")


def webhook_name_fault(name: str) -> str | None:
    """Return what is wrong with a webhook's name, or None."""
    if not _NAME.fullmatch(name):
        return (
            f"Webhook name {name[:300]!r} is invalid. It must start and end with a letter or digit, have at most "
            f"{MAX_NAME_CHARACTERS} characters, and contain only letters, digits, dots, underscores and hyphens."
        )
    return None


def webhook_events_fault(events: Sequence[str]) -> str | None:
    """Return what is wrong with the events that a webhook asks for, or None."""
    if not events:
        return "a webhook needs at least one event"
    for event in events:
        if event not in WEBHOOK_EVENTS:
            return f"{event[:100]!r} is no event of a webhook; expected one of {', '.join(WEBHOOK_EVENTS)}"
    return None


def webhook_status_fault(status: str) -> str | None:
    """Return what is wrong with a webhook's status, or None."""
    return None if status in STATUSES else f"{status[:100]!r} is no status of a webhook; expected ACTIVE or DISABLED"


def webhook_text_fault(url: str | None, description: str | None) -> str | None:
    """Return what is wrong with the length of a webhook's texts, or None."""
    return text_fault("webhook's URL", url or "", MAX_URL_CHARACTERS) or text_fault(
        "webhook's description", description or "", MAX_DESCRIPTION_CHARACTERS
    )


def delivery_id_of(webhook_id: str, index: int, number: int, part: int) -> str:
    """Return the id of what a webhook is told of an event's place in `control`; the same on every replay."""
    return str(uuid.uuid5(_DELIVERIES, f"{webhook_id}/{index}.{number}.{part}"))
