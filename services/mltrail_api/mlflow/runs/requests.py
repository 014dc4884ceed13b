"""Requests of MLflow's runs endpoints (`mlflow.protos.service_pb2`); `run_uuid` is read as `run_id`, see `wire`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from mltrail_api.mlflow.view_types import AnyViewType
from mltrail_api.mlflow.wire import Float64, Int64, KeyValue, Message, RequiredText, Text
from mltrail_api.search.expression import ViewType
from mltrail_core.rules import RUN_STATUSES


def _status(value: object) -> str:
    # Protobuf numbers the enum from 1 in this order: RUNNING, SCHEDULED, FINISHED, FAILED, KILLED.
    if type(value) is int and 1 <= value <= len(RUN_STATUSES):
        return RUN_STATUSES[value - 1]
    if isinstance(value, str) and value in RUN_STATUSES:
        return value
    raise PydanticCustomError("run_status", f"expected one of {', '.join(RUN_STATUSES)}")


class CreateRun(Message):
    experiment_id: RequiredText
    user_id: Text = ""
    run_name: Text = ""
    start_time: Int64 | None = None
    tags: tuple[KeyValue, ...] = ()


class RunById(Message):
    """Get, delete and restore."""

    run_id: RequiredText


class UpdateRun(Message):
    run_id: RequiredText
    status: Annotated[str, BeforeValidator(_status)] | None = None
    end_time: Int64 | None = None
    run_name: Text = ""


class Metric(Message):
    """One point: of log-metric, where it stands beside the run's id, and of log-batch."""

    key: RequiredText
    value: Float64
    timestamp: Int64
    step: Int64 | None = None
    model_id: Text | None = None
    dataset_name: Text | None = None
    dataset_digest: Text | None = None


class LogMetric(Metric):
    run_id: RequiredText


class LogParam(Message):
    run_id: RequiredText
    key: RequiredText
    value: Text = ""


class LogBatch(Message):
    run_id: RequiredText
    metrics: tuple[Metric, ...] = ()
    params: tuple[KeyValue, ...] = ()
    tags: tuple[KeyValue, ...] = ()


class LogModel(Message):
    run_id: RequiredText
    model_json: RequiredText


class SetTag(Message):
    run_id: RequiredText
    key: RequiredText
    value: Text = ""


class DeleteTag(Message):
    run_id: RequiredText
    key: RequiredText


class Dataset(Message):
    name: RequiredText
    digest: RequiredText
    source_type: Text = ""
    source: Text = ""
    schema_: Text | None = Field(None, alias="schema")  # `schema` itself is a name of pydantic's
    profile: Text | None = None


class DatasetInput(Message):
    dataset: Dataset
    tags: tuple[KeyValue, ...] = ()


class ModelInput(Message):
    model_id: RequiredText


class ModelOutput(Message):
    model_id: RequiredText
    step: Int64 | None = None


class LogInputs(Message):
    run_id: RequiredText
    datasets: tuple[DatasetInput, ...] = ()
    models: tuple[ModelInput, ...] = ()


class LogOutputs(Message):
    run_id: RequiredText
    models: tuple[ModelOutput, ...]


class SearchRuns(Message):
    experiment_ids: tuple[Text, ...] = ()
    filter: Text = ""
    run_view_type: AnyViewType = ViewType.ACTIVE_ONLY
    max_results: Int64 = 1000
    order_by: tuple[Text, ...] = ()
    page_token: Text = ""
