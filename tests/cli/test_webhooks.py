"""`mltrail registry webhooks` on a data folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mltrail_cli.settings import read_settings
from mltrail_core.errors import Invalid
from mltrail_core.events import RegisteredModelCreated, WebhookCreated, WebhookDeliveryAttempted
from mltrail_core.ids import CONTROL
from mltrail_core.log import open_log
from mltrail_core.log.genesis import ensure_begun
from mltrail_core.webhook_rules import delivery_id_of
from mltrail_core.webhook_target import TargetRules
from tests.cli.command import mltrail
from tests.projector.producing import Producing

HOOK = "7d9c3c1e-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A data folder with a webhook, one delivery that was given up, and the delivery's id."""
    data = tmp_path_factory.mktemp("webhooks") / "data"
    log, producing = open_log(str(data / "log")), Producing()
    ensure_begun(log)
    log.append(
        [
            producing.record(
                CONTROL, WebhookCreated(1, HOOK, "deploy", "https://example.com/[red]", ("registered_model.created",))
            )
        ]
    )
    [place] = log.append([producing.record(CONTROL, RegisteredModelCreated(2, "iris"))])
    delivery_id = delivery_id_of(HOOK, place.index, 0, 0)
    attempted = WebhookDeliveryAttempted(3, HOOK, delivery_id, 1, 12, "failed", 404, "the receiver answered 404")
    log.append([producing.record(CONTROL, attempted)])
    log.close()
    return data, delivery_id


def test_webhooks_and_deliveries_are_listed_and_one_is_made_due_again(told: tuple[Path, str]) -> None:
    data, delivery_id = told
    shown = mltrail("registry", "webhooks", "list", "--data", str(data)).out
    assert "deploy" in shown
    assert "https://example.com/[red]" in shown
    assert "failing" in shown
    shown = mltrail("registry", "webhooks", "deliveries", HOOK, "--data", str(data)).out
    assert delivery_id in shown
    assert "the receiver answered 404" in shown
    again = json.loads(
        mltrail("registry", "webhooks", "redeliver", HOOK, delivery_id, "--data", str(data), "--json").out
    )
    assert (again["delivery"]["state"], again["delivery"]["turn"]) == ("pending", 2)
    assert again["delivery"]["due_us"] is not None


def test_settings_of_webhooks_are_read_and_checked(tmp_path: Path) -> None:
    settings = read_settings(data=tmp_path)
    assert settings.webhook_targets == TargetRules()
    assert settings.webhook_secrets_file == tmp_path / "webhook-secrets.json"
    urls = {"log_url": "redis://h/0", "store_url": "postgresql://h/d", "artifacts_url": "s3://b"}
    assert read_settings(**urls).webhook_secrets_file is None
    assert read_settings(**urls, webhook_secrets=tmp_path / "s").webhook_secrets_file == tmp_path / "s"
    local = read_settings(webhook_schemes="HTTPS, http", webhook_private_addresses=True)
    assert local.webhook_targets == TargetRules(("https", "http"), allows_private=True)
    for schemes in ("", ",", "ftp", "https,gopher"):
        with pytest.raises(Invalid, match="webhook-schemes"):
            read_settings(webhook_schemes=schemes)
