"""Webhooks through the stock `mlflow` client: made, found, changed, tested, and told what happens in the registry."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from sqlalchemy import select

from mltrail_api.appender import Written
from mltrail_core.errors import Unavailable
from mltrail_core.readmodel import tables
from tests.api.delivering import LOCAL, delivering
from tests.api.running import RunningApi, running_api, wait_until
from tests.webhook_receiver import Receiver, receiving

REGISTRY_EVENTS: list[mlflow.entities.webhook.WebhookEventStr | mlflow.entities.webhook.WebhookEvent] = [
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
def client(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> mlflow.MlflowClient:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return mlflow.MlflowClient(api.url)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def test_a_webhook_is_made_found_listed_changed_and_deleted(client: mlflow.MlflowClient) -> None:
    made = client.create_webhook("first", "http://127.0.0.1:9/hook", ["model_version.created"], "words", "s3cret")
    assert (made.name, made.status, made.description) == ("first", "ACTIVE", "words")
    assert client.get_webhook(made.webhook_id) == made or client.get_webhook(made.webhook_id).url == made.url
    assert made.webhook_id in [webhook.webhook_id for webhook in client.list_webhooks()]
    changed = client.update_webhook(made.webhook_id, name="second", events=["registered_model.created"])
    assert (changed.name, changed.url, changed.description) == ("second", made.url, "words")
    assert [str(event) for event in changed.events] == ["registered_model.created"]
    client.delete_webhook(made.webhook_id)
    with pytest.raises(mlflow.MlflowException) as raised:
        client.get_webhook(made.webhook_id)
    assert raised.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert made.webhook_id not in [webhook.webhook_id for webhook in client.list_webhooks()]


def test_webhooks_are_listed_in_pages_the_newest_first(client: mlflow.MlflowClient) -> None:
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
    client: mlflow.MlflowClient, receiver: Receiver, folder: Path
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
    from mlflow.webhooks.delivery import _generate_hmac_signature

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


def test_what_was_refused_is_not_told(client: mlflow.MlflowClient, receiver: Receiver) -> None:
    client.create_registered_model("taken")
    client.create_webhook("refused", receiver.url, ["registered_model.created", "model_version_alias.created"])
    with pytest.raises(mlflow.exceptions.RestException):
        client.create_registered_model("taken")
    with pytest.raises(mlflow.exceptions.RestException):
        client.set_registered_model_alias("taken", "champion", "9")
    client.create_registered_model("free")
    wait_until(lambda: bool(receiver.received))
    assert [request.told["data"]["name"] for request in receiver.received] == ["free"]


def test_a_test_sends_the_example_of_an_event_and_says_what_was_answered(
    client: mlflow.MlflowClient, receiver: Receiver
) -> None:
    events: list[mlflow.entities.webhook.WebhookEventStr | mlflow.entities.webhook.WebhookEvent] = [
        "model_version_tag.set",
        "model_version.created",
    ]
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
    client: mlflow.MlflowClient, receiver: Receiver, folder: Path
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


def test_a_secret_stays_when_nobody_can_say_what_became_of_its_webhook(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unknown(written: Written) -> bool:
        raise Unavailable("the read model can't be reached")

    wanted = {
        "name": "unsure",
        "url": "http://127.0.0.1:9/",
        "events": [{"entity": "MODEL_VERSION", "action": "CREATED"}],
    }
    with monkeypatch.context() as database_down:
        database_down.setattr(api.services.visibility, "outcome", unknown)
        assert api.post("/webhooks", {**wanted, "secret": "kept all the same"}).status_code == 503
    query = select(tables.webhooks.c.secret_id).where(tables.webhooks.c.name == "unsure")

    def secret_id() -> str | None:
        with api.read_model.reading() as connection:
            return connection.execute(query).scalar()

    wait_until(lambda: secret_id() is not None)
    assert api.services.webhook_secrets.get(secret_id() or "") == "kept all the same"
