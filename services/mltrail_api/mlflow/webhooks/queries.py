"""Webhooks in the read model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Select, select

from mltrail_core.readmodel.tables import webhook_subscriptions, webhooks
from mltrail_core.webhook_rules import STAGE_CHANGED


@dataclass(frozen=True, slots=True)
class WebhookView:
    """A webhook; its events are sorted by entity, then action. Times are µs UTC."""

    webhook_id: str
    name: str
    url: str
    description: str | None
    secret_id: str | None
    status: str
    is_failing: bool
    created_us: int
    updated_us: int
    deleted_us: int | None
    actor: str
    events: tuple[str, ...]

    @property
    def mlflow_events(self) -> tuple[str, ...]:
        """Those that MLflow's client can read."""
        return tuple(word for word in self.events if word != STAGE_CHANGED)


def load_webhook(connection: Connection, webhook_id: str, *, is_deleted_too: bool = False) -> WebhookView | None:
    """Return a webhook, or None when there is none of this id."""
    query = select(webhooks).where(webhooks.c.webhook_id == webhook_id)
    if not is_deleted_too:
        query = query.where(webhooks.c.deleted_us.is_(None))
    return next(_views(connection, query), None)


def load_webhooks(
    connection: Connection, *, offset: int = 0, limit: int | None = None, readable_only: bool = False
) -> list[WebhookView]:
    """Return the webhooks that are not deleted, the newest first.

    `readable_only` leaves out those that have no event that MLflow's client can read.
    """
    columns = webhooks.c
    query = select(webhooks).where(columns.deleted_us.is_(None))
    if readable_only:
        subscription = webhook_subscriptions.c
        readable = select(subscription.webhook_id).where(subscription.event != STAGE_CHANGED)
        query = query.where(columns.webhook_id.in_(readable))
    query = query.order_by(columns["index"].desc(), columns.number.desc()).offset(offset)
    return list(_views(connection, query if limit is None else query.limit(limit)))


def _views(connection: Connection, query: Select[tuple[object, ...]]) -> Iterator[WebhookView]:
    rows = connection.execute(query).mappings().all()
    events_of = _events(connection, [row["webhook_id"] for row in rows])
    for row in rows:
        yield WebhookView(
            webhook_id=row["webhook_id"],
            name=row["name"],
            url=row["url"],
            description=row["description"],
            secret_id=row["secret_id"],
            status=row["status"],
            is_failing=row["is_failing"],
            created_us=row["created_us"],
            updated_us=row["updated_us"],
            deleted_us=row["deleted_us"],
            actor=row["actor"],
            events=tuple(sorted(events_of[row["webhook_id"]], key=lambda word: word.split("."))),
        )


def _events(connection: Connection, webhook_ids: Sequence[str]) -> dict[str, list[str]]:
    columns = webhook_subscriptions.c
    found = select(columns.webhook_id, columns.event).where(columns.webhook_id.in_(webhook_ids))
    events_of = defaultdict[str, list[str]](list)
    for webhook_id, event in connection.execute(found):
        events_of[webhook_id].append(event)
    return events_of
