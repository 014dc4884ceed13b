"""Requests of MLflow's experiments endpoints (`mlflow.protos.service_pb2`)."""

from __future__ import annotations

from mltrail_api.mlflow.view_types import AnyViewType
from mltrail_api.mlflow.wire import Int64, KeyValue, Message, RequiredText, Text
from mltrail_api.search.expression import ViewType


class CreateExperiment(Message):
    name: RequiredText
    artifact_location: Text | None = None
    tags: tuple[KeyValue, ...] = ()


class ExperimentById(Message):
    """Get, delete and restore."""

    experiment_id: RequiredText


class ExperimentByName(Message):
    experiment_name: RequiredText


class UpdateExperiment(Message):
    experiment_id: RequiredText
    new_name: RequiredText


class SetExperimentTag(Message):
    experiment_id: RequiredText
    key: RequiredText
    value: Text = ""


class DeleteExperimentTag(Message):
    experiment_id: RequiredText
    key: RequiredText


class SearchExperiments(Message):
    max_results: Int64 = 1000
    page_token: Text = ""
    filter: Text = ""
    order_by: tuple[Text, ...] = ()
    view_type: AnyViewType = ViewType.ACTIVE_ONLY


class SearchDatasets(Message):
    experiment_ids: tuple[Text, ...] = ()
