"""Webhooks through the stock `mlflow` client: made, told, retried, replayed, and rebuilt."""

from __future__ import annotations

import contextlib
import json
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities.webhook import WebhookEvent, WebhookEventStr
from mlflow.exceptions import MlflowException, RestException
from mlflow.webhooks.delivery import _generate_hmac_signature

from mltrail_core.webhook_target import TargetRules
from mltrail_jobs.places import Places, Webhooks
from mltrail_jobs.webhook_retries import RetryPolicy
from mltrail_jobs.webhook_worker import run_deliveries
from mltrail_projector.digest import digest_read_model
from mltrail_projector.rebuild import rebuild
from tests.api.running import RunningApi, running_api, wait_until
from tests.webhook_receiver import Receiver, receiving

LOCAL = TargetRules(("http", "https"), allows_private=True)
REGISTRY_EVENTS: list[WebhookEventStr | WebhookEvent] = [
    "registered_model.created",
    "model_version.created",
    "model_version_tag.set",
    "model_version_tag.deleted",
    "model_version_alias.created",
    "model_version_alias.deleted",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mltrail")


@pytest.fixture(scope="module")
def api(folder: Path) -> Iterator[RunningApi]:
    """A running mltrail whose webhooks may call this machine, and which delivers them."""
    with running_api(folder, webhook_targets=LOCAL) as running, delivering(folder):
        yield running


@pytest.fixture
def client(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return MlflowClient(api.url)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@contextlib.contextmanager
def delivering(folder: Path) -> Iterator[None]:
    """Deliver what is due until the block ends."""
    places = Places(
        str(folder / "log"),
        str(folder / "read"),
        str(folder / "artifacts"),
        webhooks=Webhooks(folder / "webhook-secrets.json", LOCAL, RetryPolicy(max_attempts=4, first_pause_s=0.01)),
    )
    stop = threading.Event()
    thread = threading.Thread(target=run_deliveries, args=(places, stop), kwargs={"poll_s": 0.02})
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def deliveries(api: RunningApi, webhook_id: str, **params: str | int) -> list[dict[str, Any]]:
    answer = api.client.get(f"{api.url}/api/v1/webhooks/{webhook_id}/deliveries", params=params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["deliveries"]
    return found


def test_a_webhook_is_made_found_listed_changed_and_deleted(client: MlflowClient) -> None:
    made = client.create_webhook("first", "http://127.0.0.1:9/hook", ["model_version.created"], "words", "s3cret")
    assert (made.name, made.status, made.description) == ("first", "ACTIVE", "words")
    assert client.get_webhook(made.webhook_id) == made or client.get_webhook(made.webhook_id).url == made.url
    assert made.webhook_id in [webhook.webhook_id for webhook in client.list_webhooks()]
    changed = client.update_webhook(made.webhook_id, name="second", events=["registered_model.created"])
    assert (changed.name, changed.url, changed.description) == ("second", made.url, "words")
    assert [str(event) for event in changed.events] == ["registered_model.created"]
    client.delete_webhook(made.webhook_id)
    with pytest.raises(MlflowException) as raised:
        client.get_webhook(made.webhook_id)
    assert raised.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert made.webhook_id not in [webhook.webhook_id for webhook in client.list_webhooks()]


def test_webhooks_are_listed_in_pages_the_newest_first(client: MlflowClient) -> None:
    made = [client.create_webhook(f"p{n}", "http://localhost/", ["prompt.created"]).webhook_id for n in range(5)]
    found, token = [], None
    while True:
        page = client.list_webhooks(max_results=2, page_token=token)
        assert len(page) <= 2
        found += [webhook.webhook_id for webhook in page]
        token = page.token
        if not token:
            break
    assert [webhook_id for webhook_id in found if webhook_id in made] == made[::-1]


def test_each_registry_event_is_told_as_mlflow_tells_it_and_signed(
    client: MlflowClient, receiver: Receiver, folder: Path
) -> None:
    client.create_registered_model("before")
    client.create_webhook("all", receiver.url, REGISTRY_EVENTS, secret="pssst")
    client.create_registered_model("told", tags={"team": "vision"}, description="a model")
    version = client.create_model_version("told", "s3://models/told", tags={"k": "v"}, description="one").version
    client.set_model_version_tag("told", version, "stage", "gold")
    client.delete_model_version_tag("told", version, "stage")
    client.set_registered_model_alias("told", "champion", version)
    client.delete_registered_model_alias("told", "champion")
    wait_until(lambda: len(receiver.received) >= 6)
    assert {request.word for request in receiver.received} == {str(event) for event in REGISTRY_EVENTS}
    told = {request.word: request.told["data"] for request in receiver.received}
    named = {"name": "told", "version": "1"}
    assert told == {
        "registered_model.created": {"name": "told", "tags": {"team": "vision"}, "description": "a model"},
        "model_version.created": {
            **named,
            "source": "s3://models/told",
            "run_id": None,
            "tags": {"k": "v"},
            "description": "one",
        },
        "model_version_tag.set": {**named, "key": "stage", "value": "gold"},
        "model_version_tag.deleted": {**named, "key": "stage"},
        "model_version_alias.created": {"name": "told", "alias": "champion", "version": "1"},
        "model_version_alias.deleted": {"name": "told", "alias": "champion"},
    }
    for request in receiver.received:
        assert request.is_signed_with("pssst")
        assert not request.is_signed_with("pst")
        expected = _generate_hmac_signature(
            "pssst", request.delivery_id, request.headers["X-MLflow-Timestamp"], request.body.decode()
        )
        assert request.headers["X-MLflow-Signature"] == expected
    secrets = folder / "webhook-secrets.json"
    assert "pssst" in secrets.read_text()
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    for file in [*(folder / "log").rglob("*"), *(folder / "read").rglob("*")]:
        assert file.is_dir() or b"pssst" not in file.read_bytes(), file


def test_what_was_refused_is_not_told(client: MlflowClient, receiver: Receiver) -> None:
    client.create_registered_model("taken")
    client.create_webhook("refused", receiver.url, ["registered_model.created", "model_version_alias.created"])
    with pytest.raises(RestException):
        client.create_registered_model("taken")
    with pytest.raises(RestException):
        client.set_registered_model_alias("taken", "champion", "9")
    client.create_registered_model("free")
    wait_until(lambda: bool(receiver.received))
    assert [request.told["data"]["name"] for request in receiver.received] == ["free"]


def test_a_delivery_that_fails_twice_is_retried_under_the_same_id_and_its_attempts_are_kept(
    api: RunningApi, client: MlflowClient, receiver: Receiver
) -> None:
    receiver.answers = [503, 429]
    webhook = client.create_webhook("retried", receiver.url, ["registered_model.created"], secret="x")
    client.create_registered_model("thrice")
    wait_until(lambda: [d["state"] for d in deliveries(api, webhook.webhook_id)] == ["delivered"])
    assert len(receiver.received) == 3
    assert len({request.delivery_id for request in receiver.received}) == 1
    assert len({request.body for request in receiver.received}) == 1
    assert all(request.is_signed_with("x") for request in receiver.received)
    [delivery] = deliveries(api, webhook.webhook_id)
    shown = api.client.get(
        f"{api.url}/api/v1/webhooks/{webhook.webhook_id}/deliveries/{delivery['delivery_id']}"
    ).json()
    assert [(a["attempt"], a["status_code"], a["outcome"]) for a in shown["attempt_history"]] == [
        (1, 503, "failed"),
        (2, 429, "failed"),
        (3, 200, "delivered"),
    ]
    assert shown["attempt_history"][0]["retry_us"] > shown["attempt_history"][0]["started_us"]
    assert shown["body"] == receiver.received[0].told


@pytest.mark.parametrize(("answers", "attempts"), [([500] * 9, 4), ([404], 1), ([302], 1)])
def test_a_delivery_is_given_up_and_can_be_replayed(
    api: RunningApi, client: MlflowClient, receiver: Receiver, answers: list[int], attempts: int
) -> None:
    receiver.answers = list(answers)
    webhook = client.create_webhook("given-up", receiver.url, ["registered_model.created"])
    client.create_registered_model(f"given up {answers[0]}")
    wait_until(lambda: [d["state"] for d in deliveries(api, webhook.webhook_id)] == ["failed"])
    assert len(receiver.received) == attempts
    receiver.answers = []
    [delivery] = deliveries(api, webhook.webhook_id, state="failed")
    url = f"{api.url}/api/v1/webhooks/{webhook.webhook_id}/deliveries/{delivery['delivery_id']}"
    answer = api.client.post(f"{url}/redeliver")
    assert answer.status_code == 200, answer.text
    assert answer.json()["turn"] == 2
    wait_until(lambda: bool(deliveries(api, webhook.webhook_id, state="delivered")))
    assert len({request.delivery_id for request in receiver.received}) == 1
    assert len(api.client.get(url).json()["attempt_history"]) == attempts + 1


def test_a_disabled_webhook_is_told_nothing_and_a_deleted_one_not_even_what_waits(
    api: RunningApi, client: MlflowClient, receiver: Receiver
) -> None:
    silent = client.create_webhook("silent", receiver.url, ["registered_model.created"], status="DISABLED")
    gone = client.create_webhook("gone", receiver.url, ["registered_model.created"])
    receiver.answers, receiver.answer_headers = [503], {"Retry-After": "3000"}
    client.create_registered_model("unheard")
    wait_until(lambda: [d["attempts"] for d in deliveries(api, gone.webhook_id)] == [1])
    [waiting] = deliveries(api, gone.webhook_id, state="pending")
    assert waiting["due_us"] - waiting["appended_us"] > 2_900_000_000
    client.delete_webhook(gone.webhook_id)
    [cancelled] = deliveries(api, gone.webhook_id)
    assert (cancelled["state"], cancelled["due_us"]) == ("cancelled", None)
    url = f"{api.url}/api/v1/webhooks/{gone.webhook_id}/deliveries/{cancelled['delivery_id']}/redeliver"
    assert api.client.post(url).status_code == 404
    assert deliveries(api, silent.webhook_id) == []
    assert len(receiver.received) == 1


def test_deliveries_are_listed_in_pages_the_newest_first(
    api: RunningApi, client: MlflowClient, receiver: Receiver
) -> None:
    webhook = client.create_webhook("paged", receiver.url, ["registered_model.created"])
    for number in range(5):
        client.create_registered_model(f"page {number}")
    wait_until(lambda: len(receiver.received) == 5)
    url = f"{api.url}/api/v1/webhooks/{webhook.webhook_id}/deliveries"
    found, token = [], ""
    while token is not None:
        page = api.client.get(url, params={"max_results": 2, "page_token": token}).json()
        found += [delivery["delivery_id"] for delivery in page["deliveries"]]
        token = page["next_page_token"]
    told = {request.told["data"]["name"]: request.delivery_id for request in receiver.received}
    assert found == [told[f"page {number}"] for number in (4, 3, 2, 1, 0)]
    for bad in ({"page_token": "x"}, {"page_token": "1.2"}, {"max_results": 0}, {"state": "lost"}):
        assert api.client.get(url, params=bad).status_code == 400, bad
    for nobody in ("nobody", "nobody/deliveries", f"{webhook.webhook_id}/deliveries/nobody", "%00/deliveries"):
        assert api.client.get(f"{api.url}/api/v1/webhooks/{nobody}").status_code in (400, 404)
    assert api.client.post(f"{url}/nobody/redeliver").status_code == 404


def test_stages_are_told_to_who_asks_by_our_own_word(api: RunningApi, client: MlflowClient, receiver: Receiver) -> None:
    wanted = {"events": [{"entity": "MODEL_VERSION", "action": "STAGE_CHANGED"}]}
    answer = api.post("/webhooks", {"name": "stages", "url": receiver.url, **wanted})
    assert answer.status_code == 200, answer.text
    webhook_id = answer.json()["webhook"]["webhook_id"]
    client.create_registered_model("staged")
    for _ in range(2):
        client.create_model_version("staged", "s3://models/told")
    api.post("/model-versions/transition-stage", {"name": "staged", "version": "1", "stage": "Production"})
    body = {"name": "staged", "version": "2", "stage": "Production", "archive_existing_versions": True}
    assert api.post("/model-versions/transition-stage", body).status_code == 200
    wait_until(lambda: len(receiver.received) >= 3)
    assert sorted((r.told["data"]["version"], r.told["data"]["to_stage"]) for r in receiver.received) == [
        ("1", "Archived"),
        ("1", "Production"),
        ("2", "Production"),
    ]
    assert {request.word for request in receiver.received} == {"model_version.stage_changed"}
    assert webhook_id not in [webhook.webhook_id for webhook in client.list_webhooks()]  # its client could not read it
    [shown] = [w for w in api.client.get(f"{api.url}/api/v1/webhooks").json()["webhooks"] if w["name"] == "stages"]
    assert shown["events"] == ["model_version.stage_changed"]


def test_a_test_sends_the_example_of_an_event_and_says_what_was_answered(
    client: MlflowClient, receiver: Receiver
) -> None:
    events: list[WebhookEventStr | WebhookEvent] = ["model_version_tag.set", "model_version.created"]
    webhook = client.create_webhook("tested", receiver.url, events, secret="s")
    result = client.test_webhook(webhook.webhook_id)
    assert (result.success, result.response_status, result.response_body) == (True, 200, "fine")
    result = client.test_webhook(webhook.webhook_id, "model_version_tag.set")
    receiver.answers = [500]
    failed = client.test_webhook(webhook.webhook_id)
    assert (failed.success, failed.response_status) == (False, 500)
    assert [request.word for request in receiver.received] == [
        "model_version.created",
        "model_version_tag.set",
        "model_version.created",
    ]
    assert all(request.is_signed_with("s") for request in receiver.received)
    assert receiver.received[1].told["data"] == {
        "name": "example_model",
        "version": "1",
        "key": "example_key",
        "value": "example_value",
    }
    nobody = client.create_webhook("nobody", "http://127.0.0.1:9/", ["prompt.created"])
    unanswered = client.test_webhook(nobody.webhook_id)
    assert unanswered.success is False
    assert unanswered.error_message is not None


def test_a_secret_that_is_changed_or_taken_away_signs_no_more_and_is_forgotten(
    client: MlflowClient, receiver: Receiver, folder: Path
) -> None:
    webhook = client.create_webhook("turning", receiver.url, ["prompt.created"], secret="one-secret")
    client.test_webhook(webhook.webhook_id)
    client.update_webhook(webhook.webhook_id, secret="two-secret")
    client.test_webhook(webhook.webhook_id)
    assert [receiver.received[0].is_signed_with("one-secret"), receiver.received[1].is_signed_with("two-secret")] == [
        True,
        True,
    ]
    kept = json.loads((folder / "webhook-secrets.json").read_text()).values()
    assert "two-secret" in kept
    assert "one-secret" not in kept
    client.delete_webhook(webhook.webhook_id)
    assert "two-secret" not in json.loads((folder / "webhook-secrets.json").read_text()).values()


def test_a_rebuild_gives_the_same_webhooks_deliveries_and_attempts(api: RunningApi) -> None:
    wait_until(lambda: not _pending(api))
    api.stop_projector()
    with api.read_model.reading() as connection:
        before = digest_read_model(connection)
    rebuild(api.log, api.read_model)
    with api.read_model.reading() as connection:
        after = digest_read_model(connection)
    api.start_projector()
    assert before.differing(after) == []
    assert len({before.tables[name] for name in before.tables if name.startswith("webhook")}) == 4


def _pending(api: RunningApi) -> bool:
    webhooks = api.client.get(f"{api.url}/api/v1/webhooks").json()["webhooks"]
    return any(deliveries(api, webhook["webhook_id"], state="pending") for webhook in webhooks)
