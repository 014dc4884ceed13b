"""What the events of webhooks change; they stand in `control`, beside the registry events that webhooks are told of."""

from __future__ import annotations

from collections.abc import Iterable

from mltrail_core.events import (
    WebhookCreated,
    WebhookDeleted,
    WebhookDeliveryAttempted,
    WebhookRedeliveryRequested,
    WebhookUpdated,
)
from mltrail_core.readmodel import tables
from mltrail_core.rules import Reason, id_fault
from mltrail_core.webhook_rules import (
    CANCELLED,
    DELIVERED,
    FAILED,
    PENDING,
    webhook_events_fault,
    webhook_name_fault,
    webhook_status_fault,
    webhook_text_fault,
)
from mltrail_projector.fold import Fold, Place, Reject, refuse
from mltrail_projector.rows import Row

_STATUS_CODES = range(100, 1000)


def created(event: WebhookCreated, fold: Fold, place: Place) -> None:
    """A webhook is told of what follows."""
    refuse(Reason.INVALID, id_fault(event.webhook_id))
    refuse(Reason.INVALID, webhook_name_fault(event.name))
    refuse(Reason.INVALID, webhook_events_fault(event.events))
    refuse(Reason.INVALID, webhook_status_fault(event.status))
    refuse(Reason.INVALID, webhook_text_fault(event.url, event.description))
    if event.secret_id is not None:
        refuse(Reason.INVALID, id_fault(event.secret_id))
    if fold.rows.get(tables.webhooks, event.webhook_id) is not None:
        raise Reject(Reason.ALREADY_EXISTS, f"there is a webhook {event.webhook_id} already")
    fold.rows.put(
        tables.webhooks,
        {
            "webhook_id": event.webhook_id,
            "index": place.index,
            "number": place.number,
            "name": event.name,
            "url": event.url,
            "description": event.description,
            "secret_id": event.secret_id,
            "status": event.status,
            "is_failing": False,
            "created_us": place.appended_us,
            "updated_us": place.appended_us,
            "deleted_us": None,
            "actor": place.actor,
            "actor_known": place.actor_known,
        },
    )
    _subscribe(fold, event.webhook_id, event.events)


def updated(event: WebhookUpdated, fold: Fold, place: Place) -> None:
    """What is given replaces what was."""
    row = _webhook(fold, event.webhook_id)
    if event.name is not None:
        refuse(Reason.INVALID, webhook_name_fault(event.name))
    if event.events:
        refuse(Reason.INVALID, webhook_events_fault(event.events))
    if event.status is not None:
        refuse(Reason.INVALID, webhook_status_fault(event.status))
    if event.secret_id:
        refuse(Reason.INVALID, id_fault(event.secret_id))
    refuse(Reason.INVALID, webhook_text_fault(event.url, event.description))
    given = {"name": event.name, "url": event.url, "description": event.description, "status": event.status}
    values: dict[str, str | None] = {column: value for column, value in given.items() if value is not None}
    if event.secret_id is not None:
        values["secret_id"] = event.secret_id or None
    fold.rows.update(tables.webhooks, row, updated_us=place.appended_us, **values)
    if event.events:
        _unsubscribe(fold, event.webhook_id)
        _subscribe(fold, event.webhook_id, event.events)


def deleted(event: WebhookDeleted, fold: Fold, place: Place) -> None:
    """The webhook is told nothing any more, also not what waits."""
    row = _webhook(fold, event.webhook_id)
    fold.rows.update(tables.webhooks, row, secret_id=None, deleted_us=place.appended_us, updated_us=place.appended_us)
    _unsubscribe(fold, event.webhook_id)
    for delivery in fold.rows.select(tables.webhook_deliveries, webhook_id=event.webhook_id, state=PENDING):
        fold.rows.update(tables.webhook_deliveries, delivery, state=CANCELLED, due_us=None)


def delivery_attempted(event: WebhookDeliveryAttempted, fold: Fold, place: Place) -> None:
    """The delivery has one more attempt; one of an earlier turn than the delivery is in decides nothing any more."""
    delivery = _delivery(fold, event.webhook_id, event.delivery_id)
    turn, attempts, turn_attempts = (_number(delivery[name]) for name in ("turn", "attempts", "turn_attempts"))
    if not 1 <= event.turn <= turn:
        raise Reject(Reason.INVALID, f"the delivery {event.delivery_id} has had {turn} turns; there is no {event.turn}")
    if event.outcome not in (DELIVERED, FAILED):
        raise Reject(
            Reason.INVALID, f"{event.outcome[:100]!r} is no outcome of an attempt; expected delivered or failed"
        )
    if event.status_code is not None and event.status_code not in _STATUS_CODES:
        raise Reject(Reason.INVALID, f"{event.status_code} is no status code of HTTP")
    fold.rows.put(
        tables.webhook_attempts,
        {
            "delivery_id": event.delivery_id,
            "attempt": attempts + 1,
            "turn": event.turn,
            "started_us": event.occurred_us,
            "appended_us": place.appended_us,
            "duration_ms": event.duration_ms,
            "outcome": event.outcome,
            "status_code": event.status_code,
            "error": event.error,
            "retry_us": event.retry_us,
        },
    )
    values: dict[str, str | int | None] = {"attempts": attempts + 1}
    if event.turn == turn:
        values["turn_attempts"] = turn_attempts + 1
        if delivery["state"] == PENDING:
            state = PENDING if event.outcome == FAILED and event.retry_us is not None else event.outcome
            values |= {"state": state, "due_us": event.retry_us if state == PENDING else None}
    fold.rows.update(tables.webhook_deliveries, delivery, **values)
    webhook = fold.rows.get(tables.webhooks, event.webhook_id)
    assert webhook is not None
    fold.rows.update(tables.webhooks, webhook, is_failing=event.outcome == FAILED)


def redelivery_requested(event: WebhookRedeliveryRequested, fold: Fold, place: Place) -> None:
    """The delivery is due at once, and has all its attempts again."""
    _webhook(fold, event.webhook_id)
    delivery = _delivery(fold, event.webhook_id, event.delivery_id)
    turn = _number(delivery["turn"]) + 1
    fold.rows.update(
        tables.webhook_deliveries, delivery, state=PENDING, due_us=place.appended_us, turn=turn, turn_attempts=0
    )


def _subscribe(fold: Fold, webhook_id: str, events: Iterable[str]) -> None:
    for word in events:
        fold.rows.put(tables.webhook_subscriptions, {"event": word, "webhook_id": webhook_id})


def _unsubscribe(fold: Fold, webhook_id: str) -> None:
    for row in fold.rows.select(tables.webhook_subscriptions, webhook_id=webhook_id):
        fold.rows.delete(tables.webhook_subscriptions, row["event"], webhook_id)


def _webhook(fold: Fold, webhook_id: str) -> Row:
    row = fold.rows.get(tables.webhooks, webhook_id)
    if row is None or row["deleted_us"] is not None:
        raise Reject(Reason.UNKNOWN_SUBJECT, f"Webhook with ID {webhook_id[:100]} not found.")
    return row


def _delivery(fold: Fold, webhook_id: str, delivery_id: str) -> Row:
    row = fold.rows.get(tables.webhook_deliveries, delivery_id)
    if row is None or row["webhook_id"] != webhook_id:
        message = f"the webhook {webhook_id[:100]} has no delivery {delivery_id[:100]!r}"
        raise Reject(Reason.UNKNOWN_SUBJECT, message)
    return row


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value
