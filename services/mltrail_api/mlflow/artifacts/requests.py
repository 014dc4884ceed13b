"""Requests of MLflow's artifact endpoints (`service.proto`, `mlflow_artifacts.proto`)."""

from __future__ import annotations

from mltrail_api.mlflow.wire import Message, RequiredText, Text


class ListArtifacts(Message):
    """Of a run."""

    run_id: RequiredText
    path: Text = ""
    page_token: Text = ""


class ListProxied(Message):
    """Of the proxy, by whole path."""

    path: Text = ""


class GetRunFile(Message):
    """Of a run, as pages link to it."""

    run_id: RequiredText
    path: RequiredText
