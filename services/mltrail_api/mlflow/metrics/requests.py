"""Requests of MLflow's metric history endpoints."""

from __future__ import annotations

from mltrail_api.mlflow.wire import Int64, Message, RequiredText, Text


class GetHistory(Message):
    run_id: RequiredText
    metric_key: RequiredText
    page_token: Text = ""
    max_results: Int64 | None = None


class GetHistoryBulk(Message):
    run_id: tuple[Text, ...] = ()
    metric_key: RequiredText
    max_results: Int64 = 25_000


class GetHistoryBulkInterval(Message):
    run_ids: tuple[Text, ...]
    metric_key: RequiredText
    start_step: Int64 | None = None
    end_step: Int64 | None = None
    max_results: Int64 = 2500
