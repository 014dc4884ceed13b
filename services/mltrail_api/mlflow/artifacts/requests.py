"""Requests of MLflow's artifact endpoints (`service.proto`, `mlflow_artifacts.proto`)."""

from __future__ import annotations

from typing import Annotated

from annotated_types import MinLen

from mltrail_api.mlflow.wire import Int64, Message, RequiredText, Text


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


class CreateMultipartUpload(Message):
    """`directory` stands in the URL; `path` is that of the client's file, whose name counts."""

    directory: Text
    path: RequiredText
    num_parts: Int64 = 0


class UploadPart(Message):
    """A part that the store has."""

    part_number: Int64 = 0
    etag: Text = ""


class CompleteMultipartUpload(Message):
    """Of an upload that `CreateMultipartUpload` began at the same path."""

    directory: Text
    path: RequiredText
    upload_id: Text = ""
    parts: Annotated[tuple[UploadPart, ...], MinLen(1)]


class AbortMultipartUpload(Message):
    """Of an upload that `CreateMultipartUpload` began at the same path."""

    directory: Text
    path: RequiredText
    upload_id: Text = ""


class CreatePresignedUploadUrl(Message):
    """For a file of a run or of a logged model, one of the two."""

    run_id: Text = ""
    model_id: Text = ""
    path: RequiredText
    expiration: Int64 = 900
    """Seconds."""


class CreatePresignedDownloadUrl(Message):
    """For a file of a run."""

    run_id: RequiredText
    path: RequiredText
    expiration: Int64 = 300
    """Seconds."""


class GetPresignedDownloadUrl(Message):
    """Of the proxy; `path` stands in the URL."""

    path: Text
