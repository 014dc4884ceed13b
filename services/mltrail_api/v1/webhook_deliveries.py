"""What webhooks were told, and what came of it, the newest first."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Select, select, tuple_

from mltrail_core.errors import Invalid
from mltrail_core.readmodel.tables import webhook_attempts, webhook_deliveries


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event that a webhook is told of. `payload` is JSON; `index`, `number` and `part` say where it stands in
    `control`. `status_code` and `error` are those of the last attempt. Times are µs UTC."""

    delivery_id: str
    webhook_id: str
    index: int
    number: int
    part: int
    event: str
    payload: str
    appended_us: int
    state: str
    turn: int
    attempts: int
    turn_attempts: int
    due_us: int | None
    status_code: int | None
    error: str | None

    @property
    def token(self) -> str:
        """The page token of what is older."""
        return f"{self.index}.{self.number}.{self.part}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request that delivered, or did not. Times are µs UTC."""

    attempt: int
    turn: int
    started_us: int
    duration_ms: int
    outcome: str
    status_code: int | None
    error: str | None
    retry_us: int | None


def load_deliveries(
    connection: Connection, webhook_id: str, *, state: str | None = None, limit: int = 100, page_token: str = ""
) -> list[Delivery]:
    """Return deliveries of a webhook, the newest first.

    Raises:
        Invalid: the page token was not made by this function's deliveries.
    """
    columns = webhook_deliveries.c
    query = _deliveries().where(columns.webhook_id == webhook_id)
    if state is not None:
        query = query.where(columns.state == state)
    if page_token:
        query = query.where(tuple_(columns["index"], columns.number, columns.part) < _place_of(page_token))
    newest_first = query.order_by(columns["index"].desc(), columns.number.desc(), columns.part.desc()).limit(limit)
    return [Delivery(**row) for row in connection.execute(newest_first).mappings()]


def load_delivery(connection: Connection, delivery_id: str) -> Delivery | None:
    """Return a delivery, or None when there is none of this id."""
    row = connection.execute(_deliveries().where(webhook_deliveries.c.delivery_id == delivery_id)).mappings().first()
    return None if row is None else Delivery(**row)


def load_attempts(connection: Connection, delivery_id: str) -> list[Attempt]:
    """Return the attempts of a delivery, the first one first."""
    columns = webhook_attempts.c
    query = (
        select(
            columns.attempt,
            columns.turn,
            columns.started_us,
            columns.duration_ms,
            columns.outcome,
            columns.status_code,
            columns.error,
            columns.retry_us,
        )
        .where(columns.delivery_id == delivery_id)
        .order_by(columns.attempt)
    )
    return [Attempt(**row) for row in connection.execute(query).mappings()]


def _deliveries() -> Select[tuple[object, ...]]:
    delivery, last = webhook_deliveries.c, webhook_attempts.c
    is_last = (last.delivery_id == delivery.delivery_id) & (last.attempt == delivery.attempts)
    return select(webhook_deliveries, last.status_code, last.error).outerjoin(webhook_attempts, is_last)


def _place_of(page_token: str) -> tuple[int, ...]:
    parts = page_token.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdecimal() and len(part) < 10 for part in parts[1:]):
        raise _no_token(page_token)
    if not (parts[0].isascii() and parts[0].isdecimal() and len(parts[0]) < 19):
        raise _no_token(page_token)
    return tuple(int(part) for part in parts)


def _no_token(page_token: str) -> Invalid:
    return Invalid(f"page token {page_token[:100]!r} was not given out by a list of deliveries; begin without a token")
