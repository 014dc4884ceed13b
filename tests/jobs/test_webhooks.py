"""Deliveries through RQ in a real Valkey, and on PostgreSQL: nothing is lost with the queue, and nothing sent twice."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from sqlalchemy import select
from structlog.testing import capture_logs

from mltrail_core.clock import now_us
from mltrail_core.events import Event, RegisteredModelCreated, WebhookCreated, WebhookDeleted, WebhookUpdated
from mltrail_core.ids import CONTROL
from mltrail_core.log import EventLog, open_log
from mltrail_core.log.genesis import ensure_begun
from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_core.readmodel.tables import webhook_attempts, webhook_deliveries
from mltrail_core.webhook_secrets import WebhookSecrets
from mltrail_core.webhook_target import TargetRules
from mltrail_jobs.places import Places, Webhooks
from mltrail_jobs.queue import open_queue
from mltrail_jobs.sweeper import DueJob
from mltrail_jobs.webhook_desk import open_desk
from mltrail_jobs.webhook_retries import JITTER, RetryPolicy, is_worth_retrying
from mltrail_jobs.webhook_worker import run_deliveries
from tests.projector.producing import Producing
from tests.projector.projecting import projecting, wait_for
from tests.webhook_receiver import Receiver, receiving

HOOK = "7d9c3c1e-0000-4000-8000-000000000001"
LOCAL = TargetRules(("http",), allows_private=True)


class Deployment:
    """A log, a read model that follows it, and what its jobs are told."""

    def __init__(self, folder: Path, log_url: str, store_url: str, log: EventLog, read_model: ReadModel) -> None:
        self.read_model = read_model
        self._log = log
        self._producing = Producing()
        self.secrets = folder / "secrets.json"
        webhooks = Webhooks(self.secrets, LOCAL, RetryPolicy(max_attempts=6, first_pause_s=0.01))
        self.places = Places(log_url, store_url, str(folder / "artifacts"), webhooks=webhooks)

    def append(self, *events: Event) -> None:
        self._log.append([self._producing.record(CONTROL, *events)])

    def states(self) -> list[str]:
        with self.read_model.reading() as connection:
            column = webhook_deliveries.c
            return list(connection.execute(select(column.state).order_by(column["index"], column.number)).scalars())

    def attempts(self) -> int:
        with self.read_model.reading() as connection:
            return len(connection.execute(select(webhook_attempts)).all())


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@contextlib.contextmanager
def deployed(folder: Path, log_url: str, store_url: str) -> Iterator[Deployment]:
    with contextlib.ExitStack() as closing:
        log = closing.enter_context(contextlib.closing(open_log(log_url)))
        ensure_begun(log)
        read_model = closing.enter_context(contextlib.closing(open_read_model(store_url)))
        closing.enter_context(projecting(log, read_model))
        yield Deployment(folder, log_url, store_url, log, read_model)


@contextlib.contextmanager
def workers(places: Places, count: int = 1, clock_us: Callable[[], int] = now_us) -> Iterator[None]:
    stop = threading.Event()
    threads = [
        threading.Thread(target=run_deliveries, args=(places, stop), kwargs={"poll_s": 0.02, "clock_us": clock_us})
        for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_queue_that_is_flushed_over_and_over_loses_no_delivery(
    tmp_path: Path, redis_url: str, postgres_url: str, receiver: Receiver
) -> None:
    with deployed(tmp_path, redis_url, postgres_url) as deployment, contextlib.ExitStack() as closing:
        client = closing.enter_context(contextlib.closing(redis.Redis.from_url(redis_url)))
        receiver.answers = [503, 500] * 4
        deployment.append(WebhookCreated(1, HOOK, "hook", receiver.url, ("registered_model.created",)))
        with workers(deployment.places, count=2):
            for number in range(12):
                deployment.append(RegisteredModelCreated(2, f"model {number}"))
                keys = client.keys("rq:*")
                if keys:
                    client.delete(*keys)
            wait_for(lambda: deployment.states() == ["delivered"] * 12)
        assert {request.told["data"]["name"] for request in receiver.received} == {f"model {n}" for n in range(12)}
        assert len({request.delivery_id for request in receiver.received}) == 12


def test_many_workers_make_each_attempt_once_and_the_queue_holds_no_secret(
    tmp_path: Path, redis_url: str, receiver: Receiver
) -> None:
    with deployed(tmp_path, redis_url, str(tmp_path / "read")) as deployment, contextlib.ExitStack() as closing:
        client = closing.enter_context(contextlib.closing(redis.Redis.from_url(redis_url)))
        secret_id = WebhookSecrets(deployment.secrets).put("pssst")
        deployment.append(
            WebhookCreated(1, HOOK, "hook", receiver.url, ("registered_model.created",), secret_id=secret_id)
        )
        deployment.append(*[RegisteredModelCreated(2, f"model {number}") for number in range(20)])
        with workers(deployment.places, count=3):
            wait_for(lambda: deployment.states() == ["delivered"] * 20)
        assert len(receiver.received) == deployment.attempts() == 20
        assert all(request.is_signed_with("pssst") for request in receiver.received)
        dumped = [client.dump(key) for key in client.keys("*")]
        assert not any(b"pssst" in value or b"127.0.0.1" in value for value in dumped if value and b"rq" in value)


def test_a_worker_that_died_while_it_sent_is_made_up_for(tmp_path: Path, receiver: Receiver) -> None:
    with deployed(tmp_path, str(tmp_path / "log"), str(tmp_path / "read")) as deployment:
        deployment.append(WebhookCreated(1, HOOK, "hook", receiver.url, ("registered_model.created",)))
        deployment.append(RegisteredModelCreated(2, "iris"))
        wait_for(lambda: deployment.states() == ["pending"])
        with open_desk(deployment.places, lambda: False) as dying:
            [due] = dying.find_due()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(dying, "_append", _die)
                with pytest.raises(KeyboardInterrupt):
                    dying.deliver(due.delivery_id, due.attempts)
        with workers(deployment.places):
            wait_for(lambda: deployment.states() == ["delivered"])
        first, second = receiver.received
        assert (first.delivery_id, first.body) == (second.delivery_id, second.body)


def _die(_: object) -> None:
    raise KeyboardInterrupt


def test_an_attempt_that_somebody_made_already_is_stale(tmp_path: Path, receiver: Receiver) -> None:
    with deployed(tmp_path, str(tmp_path / "log"), str(tmp_path / "read")) as deployment:
        deployment.append(WebhookCreated(1, HOOK, "hook", receiver.url, ("registered_model.created",)))
        deployment.append(RegisteredModelCreated(2, "iris"))
        with open_desk(deployment.places, lambda: False) as desk:
            [due] = desk.find_due()
            assert desk.deliver(due.delivery_id, due.attempts) == "delivered"
            wait_for(lambda: deployment.states() == ["delivered"])
            assert desk.deliver(due.delivery_id, due.attempts) == "stale"
            assert desk.find_due() == []
    assert len(receiver.received) == 1


def test_nothing_is_sent_unsigned_because_a_secret_is_not_there(tmp_path: Path, receiver: Receiver) -> None:
    with deployed(tmp_path, str(tmp_path / "log"), str(tmp_path / "read")) as deployment:
        deployment.append(
            WebhookCreated(1, HOOK, "hook", receiver.url, ("registered_model.created",), secret_id="elsewhere")
        )
        deployment.append(RegisteredModelCreated(2, "iris"))
        with workers(deployment.places):
            wait_for(lambda: deployment.attempts() > 0)
        assert receiver.received == []
        deployment.append(
            WebhookUpdated(3, HOOK, secret_id=WebhookSecrets(deployment.secrets).put("here")),
        )
        with workers(deployment.places):
            wait_for(lambda: deployment.states() == ["delivered"])
        assert [request.is_signed_with("here") for request in receiver.received] == [True]


def test_a_url_that_is_not_allowed_here_is_given_up_without_a_request(tmp_path: Path, receiver: Receiver) -> None:
    with deployed(tmp_path, str(tmp_path / "log"), str(tmp_path / "read")) as deployment:
        deployment.append(WebhookCreated(1, HOOK, "hook", receiver.url, ("registered_model.created",)))
        deployment.append(RegisteredModelCreated(2, "iris"))
        strict = Places(
            deployment.places.log_url,
            deployment.places.store_url,
            deployment.places.artifacts_url,
            webhooks=Webhooks(None, TargetRules(("http",))),
        )
        with workers(strict):
            wait_for(lambda: deployment.states() == ["failed"])
        with deployment.read_model.reading() as connection:
            [error] = connection.execute(select(webhook_attempts.c.error)).scalars()
        assert "non-public IP address" in error
        assert receiver.received == []


def test_a_held_delivery_goes_out_when_its_webhook_is_active_again(tmp_path: Path, receiver: Receiver) -> None:
    with deployed(tmp_path, str(tmp_path / "log"), str(tmp_path / "read")) as deployment:
        deployment.append(WebhookCreated(1, HOOK, "hook", receiver.url, ("registered_model.created",)))
        deployment.append(RegisteredModelCreated(2, "iris"), WebhookUpdated(3, HOOK, status="DISABLED"))
        with open_desk(deployment.places, lambda: False) as desk:
            assert desk.find_due() == []
            deployment.append(WebhookUpdated(4, HOOK, status="ACTIVE"))
            assert len(desk.find_due()) == 1


def test_a_receiver_that_fails_has_one_delivery_under_way_and_others_all(tmp_path: Path, receiver: Receiver) -> None:
    other = HOOK[:-1] + "2"
    events = ("registered_model.created",)
    with deployed(tmp_path, str(tmp_path / "log"), str(tmp_path / "read")) as deployment:
        deployment.append(WebhookCreated(1, HOOK, "bad", receiver.url, events))
        deployment.append(WebhookCreated(1, other, "good", receiver.url, events))
        deployment.append(*[RegisteredModelCreated(2, f"model {number}") for number in range(5)])
        with open_desk(deployment.places, lambda: False) as desk:
            due = desk.find_due()
            assert len(due) == 10
            receiver.answers = [500]
            with deployment.read_model.reading() as connection:
                column = webhook_deliveries.c
                query = select(column.delivery_id).where(column.webhook_id == HOOK).order_by(column.number.desc())
                bad = list(connection.execute(query).scalars())
            desk.deliver(bad[0], 0)
            wait_for(lambda: len(desk.find_due()) == 6)


def test_pauses_grow_to_an_hour_scatter_and_heed_what_the_receiver_asks_for() -> None:
    policy = RetryPolicy()
    middle = [policy.pause_s(attempts, None, 0.5) for attempts in range(1, 11)]
    assert middle == [1, 3, 9, 27, 81, 243, 729, 2187, 3600, None]
    assert policy.pause_s(2, None, 0.0) == pytest.approx(3 * (1 - JITTER))
    assert policy.pause_s(2, None, 1.0) == pytest.approx(3 * (1 + JITTER))
    assert policy.pause_s(1, 60, 0.0) == 60
    assert policy.pause_s(1, 10**9, 0.0) == 3600
    assert policy.pause_s(10**6, None, 0.5) is None
    assert RetryPolicy(max_attempts=10**6).pause_s(10**5, None, 0.5) == 3600


def test_what_may_pass_is_retried_and_nothing_else() -> None:
    assert [code for code in range(100, 600) if is_worth_retrying(code)] == [429, *range(500, 600)]


def test_an_attempt_that_is_stopped_counts_for_nothing(tmp_path: Path) -> None:
    with contextlib.ExitStack() as closing:
        silent = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
        deployment = closing.enter_context(deployed(tmp_path, str(tmp_path / "log"), str(tmp_path / "read")))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        deployment.append(WebhookCreated(1, HOOK, "hook", url, ("registered_model.created",)))
        deployment.append(RegisteredModelCreated(2, "iris"))
        with workers(deployment.places):
            connected, _ = silent.accept()  # the request is under way, and is never answered
            closing.enter_context(connected)
        assert (deployment.states(), deployment.attempts()) == (["pending"], 0)


def test_an_attempt_whose_worker_was_killed_is_queued_again(redis_url: str) -> None:
    job = DueJob("deliver_webhook-d-0", "deliver_webhook", ("d", 0), round_s=15, timeout_s=60)
    with contextlib.closing(redis.Redis.from_url(redis_url)) as client, open_queue(redis_url, "some queue") as queue:
        assert queue.enqueue(job)
        known = Job.fetch(job.job_id, connection=client, serializer=JSONSerializer)
        known.set_status(JobStatus.STARTED)
        known.started_at = datetime.now(UTC) - timedelta(seconds=100)
        known.save()
        assert [queue.enqueue(job), queue.enqueue(job)] == [False, False]  # it may still be under way
        known.started_at = datetime.now(UTC) - timedelta(seconds=121)
        known.save()
        assert [queue.enqueue(job), queue.enqueue(job)] == [False, True]


def test_nothing_is_sent_on_the_word_of_a_read_model_that_is_behind(tmp_path: Path, receiver: Receiver) -> None:
    log_url, store_url = str(tmp_path / "log"), str(tmp_path / "read")
    with deployed(tmp_path, log_url, store_url) as deployment:
        deployment.append(WebhookCreated(1, HOOK, "hook", receiver.url, ("registered_model.created",)))
        deployment.append(RegisteredModelCreated(2, "iris"))
        wait_for(lambda: deployment.states() == ["pending"])
        places = deployment.places
    with contextlib.closing(open_log(log_url)) as log:  # nobody projects what is appended now
        log.append([Producing("another").record(CONTROL, WebhookDeleted(3, HOOK))])
    with open_desk(places, lambda: False) as desk, capture_logs() as lines:
        assert desk.find_due() == []
    assert [line["action"] for line in lines] == ["deliveries_wait"]
    with deployed(tmp_path, log_url, store_url) as deployment:
        wait_for(lambda: deployment.states() == ["cancelled"])
    assert receiver.received == []
