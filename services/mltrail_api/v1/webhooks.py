"""`/api/v1/webhooks`: all webhooks, also those that only ask for events of ours, and what they were told."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from mltrail_api.identity.identity import identity_of
from mltrail_api.mlflow.endpoint import CONSISTENCY_HEADER, PENDING, Caller
from mltrail_api.mlflow.registry.changing import change
from mltrail_api.mlflow.webhooks.queries import WebhookView, load_webhook, load_webhooks
from mltrail_api.services import Services
from mltrail_api.v1.webhook_deliveries import Delivery, load_attempts, load_deliveries, load_delivery
from mltrail_api.visibility import CONTROL_ONLY, Seen
from mltrail_core.clock import now_us
from mltrail_core.errors import Invalid
from mltrail_core.events import WebhookRedeliveryRequested
from mltrail_core.webhook_request import webhook_body

router = APIRouter(prefix="/webhooks")
DeliveryState = Literal["pending", "delivered", "failed", "cancelled"]


class WebhookInfo(BaseModel):
    """A webhook without its secret. `is_failing`: its last attempt failed. Times are µs UTC."""

    webhook_id: str
    name: str
    url: str
    description: str | None
    events: list[str]
    status: str
    is_signed: bool
    is_failing: bool
    created_us: int
    updated_us: int
    deleted_us: int | None
    created_by: str


class WebhookList(BaseModel):
    """The webhooks that are not deleted, the newest first."""

    webhooks: list[WebhookInfo]


class DeliveryInfo(BaseModel):
    """One event that a webhook is told of, under an id that stays. `turn` counts the redeliveries that were asked for,
    from 1; `attempts` all requests. `status_code` and `error` are those of the last one."""

    delivery_id: str
    webhook_id: str
    event: str
    state: DeliveryState
    turn: int
    attempts: int
    appended_us: int
    due_us: int | None
    status_code: int | None
    error: str | None


class AttemptInfo(BaseModel):
    """One request, and what came of it. `retry_us`: when it is tried again; null: it is delivered, or given up."""

    attempt: int
    turn: int
    started_us: int
    duration_ms: int
    outcome: str
    status_code: int | None
    error: str | None
    retry_us: int | None


class DeliveryDetail(DeliveryInfo):
    """A delivery with the body that is sent, and all its attempts, the first one first."""

    body: dict[str, object]
    log_index: int
    attempt_history: list[AttemptInfo]


class DeliveryPage(BaseModel):
    """Deliveries, the newest first."""

    deliveries: list[DeliveryInfo]
    next_page_token: str | None


@router.get("", summary="List webhooks")
async def list_webhooks(request: Request, response: Response) -> WebhookList:
    """Answer all webhooks, also those that MLflow's client can't read."""
    seen = await _services(request).visibility.read(load_webhooks, CONTROL_ONLY)
    _say_consistency(response, seen.is_current)
    return WebhookList(webhooks=[_info(webhook) for webhook in seen.value])


@router.get("/{webhook_id}", summary="Look a webhook up, also a deleted one")
async def get_webhook(request: Request, response: Response, webhook_id: str) -> WebhookInfo:
    """Answer a webhook.

    Raises:
        NotFound: there never was one of this id.
    """
    _refuse_nul(webhook_id)
    seen = await _services(request).visibility.read(
        lambda connection: load_webhook(connection, webhook_id, is_deleted_too=True), CONTROL_ONLY
    )
    if seen.value is None:
        raise seen.absence(f"Webhook with ID {webhook_id[:300]} not found.")
    _say_consistency(response, seen.is_current)
    return _info(seen.value)


@router.get("/{webhook_id}/deliveries", summary="List what a webhook was told, the newest first")
async def list_deliveries(
    request: Request,
    response: Response,
    webhook_id: str,
    state: Annotated[DeliveryState | None, Query(description="In this state only.")] = None,
    max_results: Annotated[int, Query(ge=1, le=1000)] = 100,
    page_token: str = "",
) -> DeliveryPage:
    """Answer deliveries of a webhook, which may be deleted.

    Raises:
        NotFound: there never was a webhook of this id.
    """
    _refuse_nul(webhook_id)

    def query(connection: Connection) -> DeliveryPage | None:
        if load_webhook(connection, webhook_id, is_deleted_too=True) is None:
            return None
        found = load_deliveries(connection, webhook_id, state=state, limit=max_results + 1, page_token=page_token)
        is_more = len(found) > max_results
        return DeliveryPage(
            deliveries=[_delivery(delivery) for delivery in found[:max_results]],
            next_page_token=found[max_results - 1].token if is_more else None,
        )

    seen = await _services(request).visibility.read(query, CONTROL_ONLY)
    if seen.value is None:
        raise seen.absence(f"Webhook with ID {webhook_id[:300]} not found.")
    _say_consistency(response, seen.is_current)
    return seen.value


@router.get("/{webhook_id}/deliveries/{delivery_id}", summary="Show a delivery, its body and its attempts")
async def get_delivery(request: Request, response: Response, webhook_id: str, delivery_id: str) -> DeliveryDetail:
    """Answer a delivery.

    Raises:
        NotFound: the webhook has no such delivery.
    """
    seen = await _load(_services(request), webhook_id, delivery_id)
    if seen.value is None:
        raise seen.absence(f"the webhook {webhook_id[:100]} has no delivery {delivery_id[:100]}")
    _say_consistency(response, seen.is_current)
    return seen.value


@router.post("/{webhook_id}/deliveries/{delivery_id}/redeliver", summary="Send a delivery again")
async def redeliver(request: Request, response: Response, webhook_id: str, delivery_id: str) -> DeliveryDetail:
    """Make a delivery due at once, whatever came of it: under the same id, with the same body and all its attempts.

    Raises:
        NotFound: the webhook has no such delivery, or is deleted.
    """
    services = _services(request)
    before = await _load(services, webhook_id, delivery_id)
    if before.value is None:
        raise before.absence(f"the webhook {webhook_id[:100]} has no delivery {delivery_id[:100]}")
    requested = WebhookRedeliveryRequested(now_us(), webhook_id, delivery_id)
    headers = await change(services, requested, Caller(None, False, identity_of(request.scope)))
    response.headers.update(headers)
    if headers == PENDING:
        return before.value
    after = await _load(services, webhook_id, delivery_id)
    return after.value or before.value


async def _load(services: Services, webhook_id: str, delivery_id: str) -> Seen[DeliveryDetail | None]:
    _refuse_nul(delivery_id)

    def query(connection: Connection) -> DeliveryDetail | None:
        delivery = load_delivery(connection, delivery_id)
        if delivery is None or delivery.webhook_id != webhook_id:
            return None
        attempts = [AttemptInfo(**dataclasses.asdict(attempt)) for attempt in load_attempts(connection, delivery_id)]
        body = json.loads(webhook_body(delivery.event, json.loads(delivery.payload), delivery.appended_us))
        return DeliveryDetail(
            **_delivery(delivery).model_dump(), body=body, log_index=delivery.index, attempt_history=attempts
        )

    return await services.visibility.read(query, CONTROL_ONLY)


def _info(webhook: WebhookView) -> WebhookInfo:
    return WebhookInfo(
        webhook_id=webhook.webhook_id,
        name=webhook.name,
        url=webhook.url,
        description=webhook.description,
        events=list(webhook.events),
        status=webhook.status,
        is_signed=webhook.secret_id is not None,
        is_failing=webhook.is_failing,
        created_us=webhook.created_us,
        updated_us=webhook.updated_us,
        deleted_us=webhook.deleted_us,
        created_by=webhook.actor,
    )


def _delivery(delivery: Delivery) -> DeliveryInfo:
    return DeliveryInfo.model_validate(delivery, from_attributes=True)


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _say_consistency(response: Response, is_current: bool) -> None:
    response.headers[CONSISTENCY_HEADER] = "current" if is_current else "stale"


def _refuse_nul(subject: str) -> None:
    if "\0" in subject:
        raise Invalid("the id holds a NUL character, which no database keeps")
