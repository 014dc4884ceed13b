"""The one partition in which an event may stand: rows of a subject are written by the fold of one partition only."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from mltrail_core.events import (
    AliasDeleted,
    AliasSet,
    ArtifactDeleted,
    ArtifactStored,
    ArtifactUploadAbandoned,
    ArtifactUploadBegan,
    ArtifactUploaded,
    ArtifactVerified,
    Event,
    ExperimentCreated,
    ExperimentDeleted,
    ExperimentEnsured,
    ExperimentRenamed,
    ExperimentRestored,
    ExperimentTagDeleted,
    ExperimentTagSet,
    LoggedModelCreated,
    LoggedModelDeleted,
    LoggedModelFinalized,
    LoggedModelParamLogged,
    LoggedModelTagDeleted,
    LoggedModelTagSet,
    ModelVersionCreated,
    ModelVersionDeleted,
    ModelVersionDescribed,
    ModelVersionTagDeleted,
    ModelVersionTagSet,
    ProducerClosed,
    ProducerOpened,
    RegisteredModelCreated,
    RegisteredModelDeleted,
    RegisteredModelDescribed,
    RegisteredModelEnsured,
    RegisteredModelRenamed,
    RegisteredModelTagDeleted,
    RegisteredModelTagSet,
    StageChanged,
    TokenCreated,
    TokenRevoked,
    WebhookCreated,
    WebhookDeleted,
    WebhookDeliveryAttempted,
    WebhookRedeliveryRequested,
    WebhookUpdated,
)
from mltrail_core.events.artifact import LOOSE_FILES
from mltrail_core.ids import CONTROL, Partition, partition_of

_partition_of = lru_cache(maxsize=4096)(partition_of)  # records of one run come by the thousand
_IN_CONTROL = frozenset(
    {
        AliasDeleted,
        AliasSet,
        ExperimentCreated,
        ExperimentDeleted,
        ExperimentEnsured,
        ExperimentRenamed,
        ExperimentRestored,
        ExperimentTagDeleted,
        ExperimentTagSet,
        ModelVersionCreated,
        ModelVersionDeleted,
        ModelVersionDescribed,
        ModelVersionTagDeleted,
        ModelVersionTagSet,
        RegisteredModelCreated,
        RegisteredModelDeleted,
        RegisteredModelDescribed,
        RegisteredModelEnsured,
        RegisteredModelRenamed,
        RegisteredModelTagDeleted,
        RegisteredModelTagSet,
        StageChanged,
        TokenCreated,
        TokenRevoked,
        WebhookCreated,
        WebhookDeleted,
        WebhookDeliveryAttempted,
        WebhookRedeliveryRequested,
        WebhookUpdated,
    }
)
_ANYWHERE = frozenset({ProducerOpened, ProducerClosed})
_SUBJECT: dict[type[Event], Callable[[Any], str]] = {
    ArtifactStored: lambda event: artifact_subject(event.owner, event.path),
    ArtifactDeleted: lambda event: artifact_subject(event.owner, event.path),
    ArtifactUploadAbandoned: lambda event: artifact_subject(event.owner, event.path),
    ArtifactUploadBegan: lambda event: artifact_subject(event.owner, event.path),
    ArtifactUploaded: lambda event: artifact_subject(event.owner, event.path),
    ArtifactVerified: lambda event: artifact_subject(event.owner, event.path),
    LoggedModelCreated: lambda event: event.model_id,
    LoggedModelDeleted: lambda event: event.model_id,
    LoggedModelFinalized: lambda event: event.model_id,
    LoggedModelParamLogged: lambda event: event.model_id,
    LoggedModelTagDeleted: lambda event: event.model_id,
    LoggedModelTagSet: lambda event: event.model_id,
}


def home_of(event: Event) -> Partition | None:
    """Return the partition that the event belongs to; None for events of producers, which stand anywhere."""
    kind = type(event)
    if kind in _IN_CONTROL:
        return CONTROL
    if kind in _ANYWHERE:
        return None
    return _partition_of(_SUBJECT.get(kind, _run_id)(event))


def _run_id(event: Any) -> str:
    return str(event.run_id)


def artifact_subject(owner: str, path: str) -> str:
    """Return what decides the partition of an artifact: its owner, or the path itself for those that have none."""
    return f"{LOOSE_FILES}/{path}" if owner == LOOSE_FILES else owner
