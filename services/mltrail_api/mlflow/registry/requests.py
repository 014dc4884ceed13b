"""Requests of MLflow's registry endpoints (`mlflow.protos.model_registry_pb2`)."""

from __future__ import annotations

from mltrail_api.mlflow.wire import Int64, KeyValue, Message, RequiredText, Text


class CreateRegisteredModel(Message):
    name: RequiredText
    tags: tuple[KeyValue, ...] = ()
    description: Text | None = None


class RegisteredModelByName(Message):
    name: RequiredText


class GetLatestVersions(Message):
    name: RequiredText
    stages: tuple[Text, ...] = ()


class CreateModelVersion(Message):
    """`run_id` and `model_id` are None when the request leaves them open."""

    name: RequiredText
    source: RequiredText
    run_id: Text | None = None
    model_id: Text | None = None
    run_link: Text = ""
    tags: tuple[KeyValue, ...] = ()
    description: Text | None = None


class ModelVersionByNumber(Message):
    name: RequiredText
    version: RequiredText


class GetModelVersionFile(Message):
    """Of a model version, as pages link to it."""

    name: RequiredText
    version: RequiredText
    path: RequiredText


class SearchRegistry(Message):
    """Of registered models, and of model versions."""

    filter: Text = ""
    max_results: Int64 | None = None
    order_by: tuple[Text, ...] = ()
    page_token: Text = ""
