"""Where deliveries are found and made: the row says what is due, the receiver is told, the log is told what came of it.

The log is the only memory. A worker that dies after the receiver answered, and before the log knows, leaves the
delivery due: it is sent again, under the same id. So each delivery arrives at least once.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, Row, and_, case, func, select

from mltrail_core.clock import now_us
from mltrail_core.errors import Invalid, OutcomeUnknown
from mltrail_core.events import WebhookDeliveryAttempted
from mltrail_core.ids import CONTROL, new_producer_id
from mltrail_core.log import EventLog, NewRecord, open_log
from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_core.readmodel.tables import positions, webhook_deliveries, webhooks
from mltrail_core.record import Actor, Record, freeze_record
from mltrail_core.webhook_request import NoReply, post, webhook_body, webhook_headers
from mltrail_core.webhook_rules import ACTIVE, DELIVERED, FAILED, PENDING
from mltrail_core.webhook_secrets import WebhookSecrets
from mltrail_jobs.places import Places
from mltrail_jobs.verification import Interrupted
from mltrail_jobs.webhook_retries import is_worth_retrying

JOBS_ACTOR = Actor("mltrail-jobs")
MAX_DUE = 200
MAX_DUE_PER_WEBHOOK = 25
"""So many deliveries of one webhook are under way at once; of one whose last attempt failed, one: a receiver that is
down costs everybody else little."""
_MAX_ERROR_CHARACTERS = 500
_FRESH_WITHIN_S = 2.0
_REPEAT_BOUND_S = 10.0
_PAUSE_S = 0.02

_logger: structlog.stdlib.BoundLogger = structlog.get_logger("mltrail.jobs")


@dataclass(frozen=True, slots=True, order=True)
class DueDelivery:
    """The next attempt of a delivery: it is due until the log says what came of it."""

    delivery_id: str
    attempts: int
    """Those that were made before, over all turns."""


class DeliveryDesk:
    """One process's hand in deliveries. Safe to use from many threads."""

    def __init__(self, places: Places, log: EventLog, read_model: ReadModel, should_stop: Callable[[], bool]) -> None:
        self._log = log
        self._read_model = read_model
        self._config = places.webhooks
        self._secrets = WebhookSecrets(places.webhooks.secrets)
        self._should_stop = should_stop
        self._producer = new_producer_id()
        self._sequence = 0
        self._is_behind = False
        self._appending = threading.Lock()

    def find_due(self, clock_us: Callable[[], int] = now_us) -> list[DueDelivery]:
        """Return what is to be sent now, the oldest of each webhook first; nothing while the read model lags behind
        the log, because then it may be sent already.

        Raises:
            Unavailable: log or read model can't be reached.
        """
        head = self._log.heads().get(CONTROL, 0)
        give_up = time.monotonic() + _FRESH_WITHIN_S
        while not self._should_stop():
            with self._read_model.reading() as connection:
                if _index_of_control(connection) >= head:
                    self._say_behind(False)
                    return _due(connection, clock_us())
            if time.monotonic() > give_up:
                self._say_behind(True)
                break
            time.sleep(_PAUSE_S)
        return []

    def deliver(self, delivery_id: str, attempts: int) -> str:
        """Make the next attempt of a delivery that had `attempts` so far, and return what came of it: `delivered`,
        `retry`, `given up`, or `stale` when it is not due any more.

        Raises:
            Interrupted: it was told to stop; the attempt counts for nothing and is made again.
            Unavailable: log or read model failed; the delivery stays due.
        """
        with self._read_model.reading() as connection:
            found = _load(connection, delivery_id, attempts)
        if found is None:
            return "stale"
        started_us = now_us()
        outcome, status_code, error, pause_s = self._attempt(found, started_us)
        ended_us = now_us()
        event = WebhookDeliveryAttempted(
            started_us,
            found.webhook_id,
            delivery_id,
            found.turn,
            max(0, ended_us - started_us) // 1000,
            outcome,
            status_code,
            None if error is None else error.replace("\0", "")[:_MAX_ERROR_CHARACTERS],
            None if pause_s is None else ended_us + int(pause_s * 1_000_000),
        )
        self._append(event)
        told = "delivered" if outcome == DELIVERED else "given up" if pause_s is None else "retry"
        _logger.info(
            "webhook attempted",
            action="webhook_attempted",
            webhook_id=found.webhook_id,
            delivery_id=delivery_id,
            attempt=attempts + 1,
            outcome=told,
            status_code=status_code,
            error=event.error,
        )
        return told

    def _say_behind(self, is_behind: bool) -> None:
        if is_behind and not self._is_behind:
            _logger.warning("deliveries wait for the projector; see `mltrail log status`", action="deliveries_wait")
        self._is_behind = is_behind

    def _attempt(self, found: Row[Any], started_us: int) -> tuple[str, int | None, str | None, float | None]:
        """Return outcome, status code, error, and the pause before the next attempt."""
        retries, attempts = self._config.retries, found.turn_attempts + 1
        secret = None if found.secret_id is None else self._secrets.get(found.secret_id)
        if found.secret_id is not None and secret is None:
            error = f"not sent: its secret {found.secret_id} is not in this server's file of webhook secrets"
            return FAILED, None, error, retries.pause_s(attempts, None, random.random())
        body = webhook_body(found.event, json.loads(found.payload), found.appended_us)
        headers = webhook_headers(body, found.delivery_id, started_us // 1_000_000, secret)
        try:
            reply = post(found.url, body, headers, self._config.targets, is_cancelled=self._should_stop)
        except Invalid as refusal:
            return FAILED, None, str(refusal), None
        except NoReply as silence:
            if self._should_stop():
                raise Interrupted(f"told to stop while delivery {found.delivery_id} was sent") from silence
            return FAILED, None, str(silence), retries.pause_s(attempts, None, random.random())
        if 200 <= reply.status_code < 300:
            return DELIVERED, reply.status_code, None, None
        error = f"the receiver answered {reply.status_code}"
        if not is_worth_retrying(reply.status_code):
            return FAILED, reply.status_code, error, None
        return FAILED, reply.status_code, error, retries.pause_s(attempts, reply.retry_after_s, random.random())

    def _append(self, event: WebhookDeliveryAttempted) -> None:
        with self._appending:
            record = Record(CONTROL, self._producer, self._sequence + 1, JOBS_ACTOR, (event,))
            new = [NewRecord(CONTROL, freeze_record(record))]
            give_up = time.monotonic() + _REPEAT_BOUND_S
            while True:
                try:
                    self._log.append(new)
                except OutcomeUnknown:
                    if time.monotonic() > give_up:
                        self._sequence += 1  # it may be used; a hole in our own sequences promises nothing
                        raise
                    time.sleep(_PAUSE_S)
                else:
                    self._sequence += 1
                    return


@contextlib.contextmanager
def open_desk(places: Places, should_stop: Callable[[], bool]) -> Iterator[DeliveryDesk]:
    """Give a desk on a deployment's log and read model.

    Raises:
        Unavailable: one of them can't be reached.
    """
    with contextlib.ExitStack() as closing:
        log = closing.enter_context(contextlib.closing(open_log(places.log_url)))
        read_model = closing.enter_context(contextlib.closing(open_read_model(places.store_url)))
        yield DeliveryDesk(places, log, read_model, should_stop)


def _index_of_control(connection: Connection) -> int:
    column = positions.c
    return connection.execute(select(column["index"]).where(column.partition == CONTROL)).scalar() or 0


def _due(connection: Connection, at_us: int) -> list[DueDelivery]:
    delivery, webhook = webhook_deliveries.c, webhooks.c
    age = func.row_number().over(
        partition_by=delivery.webhook_id, order_by=(delivery["index"], delivery.number, delivery.part)
    )
    candidates = (
        select(delivery.delivery_id, delivery.attempts, delivery["index"], webhook.is_failing, age.label("age"))
        .join(webhooks, webhook.webhook_id == delivery.webhook_id)
        .where(delivery.state == PENDING, delivery.due_us <= at_us, webhook.status == ACTIVE)
        .subquery()
    )
    at_once = case((candidates.c.is_failing, 1), else_=MAX_DUE_PER_WEBHOOK)
    query = (
        select(candidates.c.delivery_id, candidates.c.attempts)
        .where(candidates.c.age <= at_once)
        .order_by(candidates.c.age, candidates.c["index"])
        .limit(MAX_DUE)
    )
    return [DueDelivery(delivery_id, attempts) for delivery_id, attempts in connection.execute(query)]


def _load(connection: Connection, delivery_id: str, attempts: int) -> Row[Any] | None:
    delivery, webhook = webhook_deliveries.c, webhooks.c
    query = (
        select(webhook_deliveries, webhook.url, webhook.secret_id)
        .join(webhooks, webhook.webhook_id == delivery.webhook_id)
        .where(
            and_(delivery.delivery_id == delivery_id, delivery.attempts == attempts),
            delivery.state == PENDING,
            webhook.status == ACTIVE,
        )
    )
    return connection.execute(query).first()
