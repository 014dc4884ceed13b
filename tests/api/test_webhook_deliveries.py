"""What comes of deliveries: they are retried, given up, replayed, listed, and the same after a rebuild."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from mltrail_projector.digest import digest_read_model
from mltrail_projector.rebuild import rebuild
from tests.api.delivering import LOCAL, deliveries, delivering
from tests.api.running import RunningApi, running_api, wait_until
from tests.webhook_receiver import Receiver, receiving


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


def test_a_delivery_that_fails_twice_is_retried_under_the_same_id_and_its_attempts_are_kept(
    api: RunningApi, client: mlflow.MlflowClient, receiver: Receiver
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
    api: RunningApi, client: mlflow.MlflowClient, receiver: Receiver, answers: list[int], attempts: int
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
    api: RunningApi, client: mlflow.MlflowClient, receiver: Receiver
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
    api: RunningApi, client: mlflow.MlflowClient, receiver: Receiver
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


def test_stages_are_told_to_who_asks_by_our_own_word(
    api: RunningApi, client: mlflow.MlflowClient, receiver: Receiver
) -> None:
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
