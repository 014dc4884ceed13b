"""MLflow's webhook endpoints. Secrets go into the server's file of them, everything else into the log."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection

from mltrail_api.mlflow.endpoint import Answer, Caller, seen_answer
from mltrail_api.mlflow.limits import refuse
from mltrail_api.mlflow.registry.changing import change
from mltrail_api.mlflow.webhooks.examples import EXAMPLES
from mltrail_api.mlflow.webhooks.queries import WebhookView, load_webhook, load_webhooks
from mltrail_api.mlflow.webhooks.requests import CreateWebhook, ListWebhooks, TestWebhook, UpdateWebhook, WebhookById
from mltrail_api.mlflow.webhooks.view import webhook_json
from mltrail_api.mlflow.webhooks.words import status_of, word_of, words_of
from mltrail_api.search.page_token import Offset, decode_token, encode_token
from mltrail_api.services import Services
from mltrail_api.visibility import CONTROL_ONLY, Seen
from mltrail_core.clock import now_us
from mltrail_core.errors import Invalid, Rejected
from mltrail_core.events import Event, WebhookCreated, WebhookDeleted, WebhookUpdated
from mltrail_core.rules import text_fault
from mltrail_core.webhook_request import NoReply, post, webhook_body, webhook_headers
from mltrail_core.webhook_rules import ACTIVE, MAX_SECRET_CHARACTERS, webhook_name_fault, webhook_text_fault
from mltrail_core.webhook_target import refuse_target

_MAX_RESULTS, _DEFAULT_RESULTS = 1000, 100
_RESOLVE_BOUND_S = 5.0


async def create(services: Services, request: CreateWebhook, caller: Caller) -> Answer:
    """Make a webhook that is told of what follows, and answer it."""
    _refuse(request.name, request.description)
    await _refuse_url(services, request.url)
    words = words_of(request.events)
    status = status_of(request.status) if request.status else ACTIVE
    secret_id = await _keep(services, request.secret)
    created = WebhookCreated(
        now_us(),
        str(uuid.uuid4()),
        request.name,
        request.url,
        words,
        request.description or None,
        secret_id,
        status,
    )
    headers = await _change_or_forget(services, created, caller, secret_id)
    view = WebhookView(
        created.webhook_id,
        created.name,
        created.url,
        created.description,
        secret_id,
        status,
        False,
        created.occurred_us,
        created.occurred_us,
        None,
        "",
        words,
    )
    if not headers:
        view = (await _look_up(services, created.webhook_id, caller)).value or view
    return Answer({"webhook": webhook_json(view)}, headers)


async def get(services: Services, request: WebhookById, caller: Caller) -> Answer:
    """Answer a webhook, without its secret."""
    seen = await _look_up(services, request.webhook_id, caller)
    return seen_answer(seen, {"webhook": webhook_json(_found(seen, request.webhook_id))})


async def list_webhooks(services: Services, request: ListWebhooks, caller: Caller) -> Answer:
    """List webhooks, the newest first; those that only have events of ours are left out, the client can't read them."""
    limit = request.max_results or _DEFAULT_RESULTS
    if not 1 <= limit <= _MAX_RESULTS:
        raise Invalid(f"max_results must be between 1 and {_MAX_RESULTS}.")
    start = decode_token("webhooks", request.page_token)
    offset = start.count if isinstance(start, Offset) else 0

    def query(connection: Connection) -> list[WebhookView]:
        return load_webhooks(connection, offset=offset, limit=limit + 1, readable_only=True)

    seen = await services.visibility.read(query, caller.asks_for(CONTROL_ONLY))
    body: dict[str, object] = {"webhooks": [webhook_json(webhook) for webhook in seen.value[:limit]]}
    if len(seen.value) > limit:
        body["next_page_token"] = encode_token("webhooks", Offset(offset + limit))
    return seen_answer(seen, body)


async def update(services: Services, request: UpdateWebhook, caller: Caller) -> Answer:
    """Replace what is given, and answer the webhook."""
    seen = await _look_up(services, request.webhook_id, caller)
    before = _found(seen, request.webhook_id)
    _refuse(request.name or before.name, request.description or "")
    if request.url:
        await _refuse_url(services, request.url)
    words = words_of(request.events) if request.events else ()
    status = None if request.status is None else status_of(request.status)
    secret_id = None
    if request.secret is not None:
        secret_id = await _keep(services, request.secret) or ""
    updated = WebhookUpdated(
        now_us(),
        request.webhook_id,
        request.name or None,
        request.url or None,
        words,
        request.description,
        secret_id,
        status,
    )
    headers = await _change_or_forget(services, updated, caller, secret_id)
    if headers:
        return Answer({"webhook": webhook_json(_changed(before, updated))}, headers)
    if before.secret_id is not None and secret_id is not None:
        await _forget(services, before.secret_id)
    after = (await _look_up(services, request.webhook_id, caller)).value
    return Answer({"webhook": webhook_json(after or _changed(before, updated))})


async def delete(services: Services, request: WebhookById, caller: Caller) -> Answer:
    """Delete a webhook and its secret; what it was told stays in its history."""
    before = _found(await _look_up(services, request.webhook_id, caller), request.webhook_id)
    headers = await change(services, WebhookDeleted(now_us(), request.webhook_id), caller)
    if not headers and before.secret_id is not None:
        await _forget(services, before.secret_id)
    return Answer({}, headers)


async def send_test(services: Services, request: TestWebhook, caller: Caller) -> Answer:
    """Send an example of an event at once, signed as a delivery is, and answer what came of it."""
    seen = await _look_up(services, request.webhook_id, caller)
    webhook = _found(seen, request.webhook_id)
    word = webhook.events[0] if request.event is None else word_of(request.event)
    return Answer({"result": await asyncio.to_thread(_test, services, webhook, word)})


def _test(services: Services, webhook: WebhookView, word: str) -> dict[str, object]:
    secret = None if webhook.secret_id is None else services.webhook_secrets.get(webhook.secret_id)
    if webhook.secret_id is not None and secret is None:
        return _failed(f"its secret {webhook.secret_id} is not in this server's file of webhook secrets")
    sent_us = now_us()
    body = webhook_body(word, EXAMPLES[word], sent_us)
    headers = webhook_headers(body, str(uuid.uuid4()), sent_us // 1_000_000, secret)
    try:
        reply = post(webhook.url, body, headers, services.webhook_targets)
    except (Invalid, NoReply) as error:
        return _failed(str(error))
    result: dict[str, object] = {"success": reply.status_code < 400, "response_status": reply.status_code}
    return result | ({"response_body": reply.body} if reply.body else {})


def _failed(why: str) -> dict[str, object]:
    return {"success": False, "error_message": f"Failed to test webhook: {why}"}


def _refuse(name: str, description: str) -> None:
    refuse(webhook_name_fault(name))
    refuse(webhook_text_fault(None, description))


async def _refuse_url(services: Services, url: str) -> None:
    refuse(webhook_text_fault(url, None))
    try:
        await asyncio.wait_for(asyncio.to_thread(refuse_target, url, services.webhook_targets), _RESOLVE_BOUND_S)
    except TimeoutError as error:
        raise Invalid(f"Cannot resolve the host of {url[:300]!r} within {_RESOLVE_BOUND_S:g} s") from error


async def _keep(services: Services, secret: str) -> str | None:
    if not secret:
        return None
    refuse(text_fault("webhook's secret", secret, MAX_SECRET_CHARACTERS))
    return await asyncio.to_thread(services.webhook_secrets.put, secret)


async def _forget(services: Services, secret_id: str) -> None:
    await asyncio.to_thread(services.webhook_secrets.remove, secret_id)


async def _change_or_forget(
    services: Services, event: Event, caller: Caller, secret_id: str | None
) -> Mapping[str, str]:
    """Make the change; when it was refused, the secret that was kept for it is forgotten."""
    try:
        return await change(services, event, caller)
    except Rejected:  # after anything else the event may stand in the log, and then the secret is needed
        if secret_id:
            await _forget(services, secret_id)
        raise


def _changed(before: WebhookView, event: WebhookUpdated) -> WebhookView:
    """Return what is asked for, of a webhook whose change is durable and not projected yet."""
    return replace(
        before,
        name=event.name or before.name,
        url=event.url or before.url,
        events=event.events or before.events,
        description=before.description if event.description is None else event.description,
        status=event.status or before.status,
        updated_us=event.occurred_us,
    )


async def _look_up(services: Services, webhook_id: str, caller: Caller) -> Seen[WebhookView | None]:
    return await services.visibility.read(
        lambda connection: load_webhook(connection, webhook_id), caller.asks_for(CONTROL_ONLY)
    )


def _found(seen: Seen[WebhookView | None], webhook_id: str) -> WebhookView:
    if seen.value is None:
        raise seen.absence(f"Webhook with ID {webhook_id[:300]} not found.")
    return seen.value
