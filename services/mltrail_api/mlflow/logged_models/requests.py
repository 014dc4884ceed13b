"""Requests of MLflow's logged models endpoints (`mlflow.protos.service_pb2`)."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from mltrail_api.mlflow.wire import Int64, KeyValue, Message, RequiredText, Text
from mltrail_core.rules import LOGGED_MODEL_STATUSES


def _status(value: object) -> str:
    # Protobuf numbers the enum from 1 in this order; 0, unspecified, is no status to end in.
    if type(value) is int and 1 <= value <= len(LOGGED_MODEL_STATUSES):
        return LOGGED_MODEL_STATUSES[value - 1]
    if isinstance(value, str) and value in LOGGED_MODEL_STATUSES:
        return value
    raise PydanticCustomError("logged_model_status", f"expected one of {', '.join(LOGGED_MODEL_STATUSES)}")


class CreateLoggedModel(Message):
    experiment_id: RequiredText
    name: Text = ""
    model_type: Text = ""
    source_run_id: Text = ""
    params: tuple[KeyValue, ...] = ()
    tags: tuple[KeyValue, ...] = ()


class LoggedModelById(Message):
    model_id: RequiredText


class FinalizeLoggedModel(Message):
    model_id: RequiredText
    status: Annotated[str, BeforeValidator(_status)]


class LogLoggedModelParams(Message):
    model_id: RequiredText
    params: tuple[KeyValue, ...] = ()


class SetLoggedModelTags(Message):
    model_id: RequiredText
    tags: tuple[KeyValue, ...] = ()


class DeleteLoggedModelTag(Message):
    model_id: RequiredText
    tag_key: RequiredText


class ListLoggedModelArtifacts(Message):
    model_id: RequiredText
    artifact_directory_path: Text = ""


class GetLoggedModelFile(Message):
    """Of a logged model, as pages link to it."""

    artifact_file_path: RequiredText


class SearchedDataset(Message):
    dataset_name: Text = ""
    dataset_digest: Text = ""


class OrderBy(Message):
    field_name: RequiredText
    ascending: bool = True
    dataset_name: Text = ""
    dataset_digest: Text = ""


class SearchLoggedModels(Message):
    experiment_ids: tuple[Text, ...]
    filter: Text = ""
    datasets: tuple[SearchedDataset, ...] = ()
    max_results: Int64 | None = None
    order_by: tuple[OrderBy, ...] = ()
    page_token: Text = ""
