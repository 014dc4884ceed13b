"""Events of registry webhooks: who is told what, and what came of each delivery; all go to the partition `control`.

Secrets that sign deliveries are never in them: `secret_id` names one in the server's file of webhook secrets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mltrail_core.events.text import FreeText


@dataclass(frozen=True, slots=True)
class WebhookCreated:
    """Emitted by webhooks create: from here on, each accepted event of `events` is delivered to `url`. Those words are
    `model_version.created` and the like, see `mltrail_core.webhook_rules`. Rejected when the id is taken."""

    WIRE_NAME: ClassVar[str] = "webhook_created"
    occurred_us: int
    webhook_id: str
    name: str
    url: FreeText
    events: tuple[str, ...]
    description: FreeText | None = None
    secret_id: str | None = None
    status: str = "ACTIVE"


@dataclass(frozen=True, slots=True)
class WebhookUpdated:
    """Emitted by webhooks update: what is given replaces what was; None, and no events, leave it. An empty `secret_id`:
    deliveries are signed no more."""

    WIRE_NAME: ClassVar[str] = "webhook_updated"
    occurred_us: int
    webhook_id: str
    name: str | None = None
    url: FreeText | None = None
    events: tuple[str, ...] = ()
    description: FreeText | None = None
    secret_id: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookDeleted:
    """Emitted by webhooks delete: nothing is delivered any more, also not what waits. Its history stays."""

    WIRE_NAME: ClassVar[str] = "webhook_deleted"
    occurred_us: int
    webhook_id: str


@dataclass(frozen=True, slots=True)
class WebhookDeliveryAttempted:
    """Emitted by jobs after each request that delivers: what the receiver answered (`status_code`), or why there was no
    answer (`error`). `retry_us` says when it is tried again; None: it is delivered, or given up. `turn` is that of the
    delivery when the attempt began: 1, and one more for each redelivery that was asked for."""

    WIRE_NAME: ClassVar[str] = "webhook_delivery_attempted"
    occurred_us: int
    webhook_id: str
    delivery_id: str
    turn: int
    duration_ms: int
    outcome: str
    """`delivered`, or `failed`."""
    status_code: int | None = None
    error: FreeText | None = None
    retry_us: int | None = None


@dataclass(frozen=True, slots=True)
class WebhookRedeliveryRequested:
    """Emitted by POST /api/v1/webhooks/…/redeliver and the command line: the delivery is due again at once, under the
    same id and with the same body. Rejected for a webhook that is deleted."""

    WIRE_NAME: ClassVar[str] = "webhook_redelivery_requested"
    occurred_us: int
    webhook_id: str
    delivery_id: str
