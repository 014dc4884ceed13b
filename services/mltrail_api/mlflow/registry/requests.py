"""Requests of MLflow's registry endpoints (`mlflow.protos.model_registry_pb2`)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Strict

from mltrail_api.mlflow.wire import Int64, KeyValue, Message, RequiredText, Text

Truth = Annotated[bool, Strict()]


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


class UpdateRegisteredModel(Message):
    name: RequiredText
    description: Text | None = None


class RenameRegisteredModel(Message):
    name: RequiredText
    new_name: RequiredText


class SetRegisteredModelTag(Message):
    name: RequiredText
    key: RequiredText
    value: Text = ""


class DeleteRegisteredModelTag(Message):
    name: RequiredText
    key: RequiredText


class SetAlias(Message):
    name: RequiredText
    alias: RequiredText
    version: RequiredText


class AliasByName(Message):
    name: RequiredText
    alias: RequiredText


class UpdateModelVersion(Message):
    """`description` is None when the request leaves it out: then the version has none."""

    name: RequiredText
    version: RequiredText
    description: Text | None = None


class TransitionStage(Message):
    name: RequiredText
    version: RequiredText
    stage: RequiredText
    archive_existing_versions: Truth = False


class SetModelVersionTag(Message):
    name: RequiredText
    version: RequiredText
    key: RequiredText
    value: Text = ""


class DeleteModelVersionTag(Message):
    name: RequiredText
    version: RequiredText
    key: RequiredText
