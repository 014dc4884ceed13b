"""Registry webhooks, what each of them is told, and what came of it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table

from mltrail_core.readmodel.tables.columns import METADATA, TEXT, id_column, us_column

webhooks = Table(  # deleted ones stay: what was delivered keeps its webhook
    "webhooks",
    METADATA,
    id_column("webhook_id", primary_key=True),
    Column("index", BigInteger, nullable=False),  # the place of its creation in `control`
    Column("number", Integer, nullable=False),
    Column("name", TEXT, nullable=False),
    Column("url", TEXT, nullable=False),
    Column("description", TEXT, nullable=True),
    id_column("secret_id", nullable=True),  # names a secret in the server's file; NULL: deliveries are not signed
    id_column("status"),
    Column("is_failing", Boolean, nullable=False),  # whether its last attempt of all failed
    us_column("created_us"),
    us_column("updated_us"),
    us_column("deleted_us", nullable=True),
    Column("actor", TEXT, nullable=False),
    id_column("actor_known"),
    Index("webhooks_by_place", "index", "number"),
)

webhook_subscriptions = Table(  # of webhooks that are not deleted
    "webhook_subscriptions",
    METADATA,
    id_column("event", primary_key=True),
    id_column("webhook_id", primary_key=True),
    Index("webhook_subscriptions_by_webhook", "webhook_id"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    METADATA,
    id_column("delivery_id", primary_key=True),
    id_column("webhook_id"),
    Column("index", BigInteger, nullable=False),  # the place in `control` of the event that it tells of
    Column("number", Integer, nullable=False),
    Column("part", Integer, nullable=False),  # of the things that one event is told as
    id_column("event"),
    Column("payload", TEXT, nullable=False),  # JSON, as MLflow words it
    us_column("appended_us"),
    id_column("state"),  # pending, delivered, failed, cancelled
    Column("turn", Integer, nullable=False),  # 1, and one more for each redelivery
    Column("attempts", Integer, nullable=False),
    Column("turn_attempts", Integer, nullable=False),  # of this turn alone
    us_column("due_us", nullable=True),  # of a pending one: when it is to be sent
    Index("webhook_deliveries_by_webhook", "webhook_id", "index", "number", "part"),
    Index("webhook_deliveries_by_state", "state", "webhook_id", "due_us"),
)

webhook_attempts = Table(
    "webhook_attempts",
    METADATA,
    id_column("delivery_id", primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),  # from 1, over all turns
    Column("turn", Integer, nullable=False),
    us_column("started_us"),
    us_column("appended_us"),
    Column("duration_ms", BigInteger, nullable=False),
    id_column("outcome"),  # delivered, failed
    Column("status_code", Integer, nullable=True),
    Column("error", TEXT, nullable=True),
    us_column("retry_us", nullable=True),
)
