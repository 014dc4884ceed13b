"""Requests of MLflow's webhook endpoints (`mlflow.protos.webhooks_pb2`)."""

from __future__ import annotations

from mltrail_api.mlflow.wire import Int64, Message, RequiredText, Text


class EventWanted(Message):
    """An entity and an action, each by its name in MLflow's enums (`MODEL_VERSION`, `CREATED`) or by its number."""

    entity: Text | Int64 = ""
    action: Text | Int64 = ""


class CreateWebhook(Message):
    name: RequiredText
    url: RequiredText
    events: tuple[EventWanted, ...]
    description: Text = ""
    secret: Text = ""
    status: Text = ""


class ListWebhooks(Message):
    max_results: Int64 = 0
    page_token: Text = ""


class WebhookById(Message):
    webhook_id: RequiredText


class UpdateWebhook(Message):
    """What is None, and no events, stays as it is. An empty `secret` takes the webhook's secret away."""

    webhook_id: RequiredText
    name: Text = ""
    url: Text = ""
    events: tuple[EventWanted, ...] = ()
    description: Text | None = None
    secret: Text | None = None
    status: Text | None = None


class TestWebhook(Message):
    """`event` is None when the request leaves it open: then it is the webhook's first."""

    __test__ = False  # no test of ours, whatever the name

    webhook_id: RequiredText
    event: EventWanted | None = None
