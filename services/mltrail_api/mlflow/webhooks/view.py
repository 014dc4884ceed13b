"""How MLflow's client is told about webhooks (`mlflow.protos.webhooks_pb2.Webhook`). Secrets are never in it."""

from __future__ import annotations

from mltrail_api.mlflow.webhooks.queries import WebhookView
from mltrail_api.mlflow.webhooks.words import event_json


def webhook_json(webhook: WebhookView) -> dict[str, object]:
    """Return the JSON of a webhook, with the events that MLflow's client can read."""
    told: dict[str, object] = {
        "webhook_id": webhook.webhook_id,
        "name": webhook.name,
        "url": webhook.url,
        "events": [event_json(word) for word in webhook.mlflow_events],
        "status": webhook.status,
        "creation_timestamp": webhook.created_us // 1000,
        "last_updated_timestamp": webhook.updated_us // 1000,
    }
    return told | ({"description": webhook.description} if webhook.description else {})
