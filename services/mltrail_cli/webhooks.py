"""`mltrail registry webhooks list|deliveries|redeliver`: on the log and the read model, so no server has to run."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from sqlalchemy import Connection

from mltrail_api.mlflow.webhooks.queries import WebhookView, load_webhook, load_webhooks
from mltrail_api.pages.shown import shown_time
from mltrail_api.v1.webhook_deliveries import Delivery, load_deliveries, load_delivery
from mltrail_cli.appending import append_to_control
from mltrail_cli.options import ArtifactsUrl, AsJson, Data, LogUrl, StoreUrl
from mltrail_cli.reading import current_ports
from mltrail_cli.settings import read_settings
from mltrail_cli.terminal import console, plain_table, print_json
from mltrail_core.clock import now_us
from mltrail_core.errors import Invalid, NotFound
from mltrail_core.events import WebhookRedeliveryRequested
from mltrail_core.webhook_rules import DELIVERY_STATES

_STYLE = {"delivered": "green", "failed": "red", "pending": "yellow", "cancelled": "dim"}
_WebhookId = Annotated[str, typer.Argument(metavar="WEBHOOK_ID", help="The id that `registry webhooks list` shows.")]


def add_to(registry: typer.Typer) -> None:
    """Register the commands of this module below `mltrail registry`."""
    webhooks = typer.Typer(name="webhooks", help="Look at what webhooks were told, and tell it again.")
    webhooks.command("list")(_list)
    webhooks.command("deliveries")(_deliveries)
    webhooks.command("redeliver")(_redeliver)
    registry.add_typer(webhooks, no_args_is_help=True)


def _list(
    as_json: AsJson = False,
    data: Data = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> None:
    """List webhooks, the newest first."""
    settings = read_settings(data=data, log_url=log_url, store_url=store_url, artifacts_url=artifacts_url)
    with current_ports(settings) as ports, ports.read_model.reading() as connection:
        found = load_webhooks(connection)
    if as_json:
        print_json({"webhooks": found})
        return
    table = plain_table("id", "name", "url", "events", "state", "created (UTC)", "by")
    for webhook in found:
        table.add_row(
            webhook.webhook_id,
            escape(webhook.name),
            escape(webhook.url),
            ", ".join(webhook.events),
            _state(webhook),
            shown_time(webhook.created_us),
            escape(webhook.actor),
        )
    console().print(table)


def _deliveries(
    webhook_id: _WebhookId,
    state: Annotated[str | None, typer.Option("--state", help=f"Only {', '.join(DELIVERY_STATES)} ones.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, the newest.")] = 100,
    as_json: AsJson = False,
    data: Data = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> None:
    """List what a webhook was told, the newest first, and what came of it."""
    if state is not None and state not in DELIVERY_STATES:
        raise Invalid(f"--state {state}: expected one of {', '.join(DELIVERY_STATES)}")
    settings = read_settings(data=data, log_url=log_url, store_url=store_url, artifacts_url=artifacts_url)
    with current_ports(settings) as ports, ports.read_model.reading() as connection:
        _refuse_unknown(connection, webhook_id)
        found = load_deliveries(connection, webhook_id, state=state, limit=limit)
    if as_json:
        print_json({"deliveries": found})
        return
    table = plain_table("delivery", "event", "when (UTC)", "state", "attempts", "answer", right=("attempts",))
    for delivery in found:
        table.add_row(
            delivery.delivery_id,
            delivery.event,
            shown_time(delivery.appended_us),
            f"[{_STYLE[delivery.state]}]{delivery.state}[/]",
            str(delivery.attempts),
            escape(_answer(delivery)),
        )
    console().print(table)


def _redeliver(
    webhook_id: _WebhookId,
    delivery_id: Annotated[str, typer.Argument(metavar="DELIVERY_ID", help="The id that `deliveries` shows.")],
    as_json: AsJson = False,
    data: Data = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> None:
    """Make a delivery due again; the server's jobs send it, under the same id and with the same body."""
    settings = read_settings(data=data, log_url=log_url, store_url=store_url, artifacts_url=artifacts_url)
    with current_ports(settings) as ports:
        with ports.read_model.reading() as connection:
            _refuse_unknown(connection, webhook_id)
            before = load_delivery(connection, delivery_id)
        if before is None or before.webhook_id != webhook_id:
            message = f"the webhook {webhook_id} has no delivery {delivery_id}"
            raise NotFound(f"{message}; see `mltrail registry webhooks deliveries {webhook_id}`")
        append_to_control(ports, WebhookRedeliveryRequested(now_us(), webhook_id, delivery_id))
        with ports.read_model.reading() as connection:
            after = load_delivery(connection, delivery_id)
    if as_json:
        print_json({"delivery": after})
    else:
        console().print(f"delivery {delivery_id} is due; whatever runs the role jobs sends it", soft_wrap=True)


def _refuse_unknown(connection: Connection, webhook_id: str) -> None:
    if load_webhook(connection, webhook_id, is_deleted_too=True) is None:
        raise NotFound(f"there is no webhook {webhook_id}; see `mltrail registry webhooks list`")


def _state(webhook: WebhookView) -> str:
    if webhook.status != "ACTIVE":
        return "[dim]disabled[/]"
    return "[red]failing[/]" if webhook.is_failing else "active"


def _answer(delivery: Delivery) -> str:
    if delivery.error is not None:
        return delivery.error
    return "" if delivery.status_code is None else str(delivery.status_code)
