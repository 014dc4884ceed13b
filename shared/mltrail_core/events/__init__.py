"""Every event there is: one frozen dataclass per wire name, and the dict from wire name to class.

An event is one fact in the past tense: what its producer *said*. Whether it is accepted is the fold's decision.
The wire name and the field names are the format; they never change, classes may move. `occurred_us` is the
producer's clock (µs UTC) and is only ever displayed.
"""

from __future__ import annotations

from typing import get_args

from mltrail_core.events.artifact import ArtifactDeleted, ArtifactStored
from mltrail_core.events.artifact_upload import (
    ArtifactUploadAbandoned,
    ArtifactUploadBegan,
    ArtifactUploaded,
    ArtifactVerified,
)
from mltrail_core.events.experiment import (
    ExperimentCreated,
    ExperimentDeleted,
    ExperimentEnsured,
    ExperimentRenamed,
    ExperimentRestored,
    ExperimentTagDeleted,
    ExperimentTagSet,
)
from mltrail_core.events.liveness import RunLost, RunReturned
from mltrail_core.events.model import (
    LoggedModelCreated,
    LoggedModelDeleted,
    LoggedModelFinalized,
    LoggedModelParamLogged,
    LoggedModelTagDeleted,
    LoggedModelTagSet,
)
from mltrail_core.events.producer import ProducerClosed, ProducerOpened
from mltrail_core.events.registry import (
    AliasDeleted,
    AliasSet,
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
)
from mltrail_core.events.run import (
    DatasetInputLogged,
    MetricsLogged,
    ModelInputLogged,
    ModelOutputLogged,
    ParamLogged,
    RunCreated,
    RunDeleted,
    RunRenamed,
    RunRestored,
    RunStatusChanged,
    TagDeleted,
    TagSet,
)
from mltrail_core.events.token import TokenCreated, TokenRevoked
from mltrail_core.events.webhooks import (
    WebhookCreated,
    WebhookDeleted,
    WebhookDeliveryAttempted,
    WebhookRedeliveryRequested,
    WebhookUpdated,
)

Event = (
    ExperimentEnsured
    | ExperimentCreated
    | ExperimentRenamed
    | ExperimentTagSet
    | ExperimentTagDeleted
    | ExperimentDeleted
    | ExperimentRestored
    | RunCreated
    | RunRenamed
    | RunStatusChanged
    | TagSet
    | TagDeleted
    | ParamLogged
    | MetricsLogged
    | RunDeleted
    | RunRestored
    | RunLost
    | RunReturned
    | DatasetInputLogged
    | ModelInputLogged
    | ModelOutputLogged
    | ArtifactStored
    | ArtifactDeleted
    | LoggedModelCreated
    | LoggedModelFinalized
    | LoggedModelParamLogged
    | LoggedModelTagSet
    | LoggedModelTagDeleted
    | LoggedModelDeleted
    | RegisteredModelCreated
    | RegisteredModelEnsured
    | ModelVersionCreated
    | RegisteredModelRenamed
    | RegisteredModelDescribed
    | RegisteredModelTagSet
    | RegisteredModelTagDeleted
    | RegisteredModelDeleted
    | AliasSet
    | AliasDeleted
    | StageChanged
    | ModelVersionDescribed
    | ModelVersionTagSet
    | ModelVersionTagDeleted
    | ModelVersionDeleted
    | ProducerOpened
    | ProducerClosed
    | TokenCreated
    | TokenRevoked
    | WebhookCreated
    | WebhookUpdated
    | WebhookDeleted
    | WebhookDeliveryAttempted
    | WebhookRedeliveryRequested
    | ArtifactUploadBegan
    | ArtifactUploaded
    | ArtifactVerified
    | ArtifactUploadAbandoned
)

EVENT_TYPES: tuple[type[Event], ...] = get_args(Event)
BY_WIRE_NAME: dict[str, type[Event]] = {event.WIRE_NAME: event for event in EVENT_TYPES}

__all__ = [
    "BY_WIRE_NAME",
    "EVENT_TYPES",
    "AliasDeleted",
    "AliasSet",
    "ArtifactDeleted",
    "ArtifactStored",
    "ArtifactUploadAbandoned",
    "ArtifactUploadBegan",
    "ArtifactUploaded",
    "ArtifactVerified",
    "DatasetInputLogged",
    "Event",
    "ExperimentCreated",
    "ExperimentDeleted",
    "ExperimentEnsured",
    "ExperimentRenamed",
    "ExperimentRestored",
    "ExperimentTagDeleted",
    "ExperimentTagSet",
    "LoggedModelCreated",
    "LoggedModelDeleted",
    "LoggedModelFinalized",
    "LoggedModelParamLogged",
    "LoggedModelTagDeleted",
    "LoggedModelTagSet",
    "MetricsLogged",
    "ModelInputLogged",
    "ModelOutputLogged",
    "ModelVersionCreated",
    "ModelVersionDeleted",
    "ModelVersionDescribed",
    "ModelVersionTagDeleted",
    "ModelVersionTagSet",
    "ParamLogged",
    "ProducerClosed",
    "ProducerOpened",
    "RegisteredModelCreated",
    "RegisteredModelDeleted",
    "RegisteredModelDescribed",
    "RegisteredModelEnsured",
    "RegisteredModelRenamed",
    "RegisteredModelTagDeleted",
    "RegisteredModelTagSet",
    "RunCreated",
    "RunDeleted",
    "RunLost",
    "RunRenamed",
    "RunRestored",
    "RunReturned",
    "RunStatusChanged",
    "StageChanged",
    "TagDeleted",
    "TagSet",
    "TokenCreated",
    "TokenRevoked",
    "WebhookCreated",
    "WebhookDeleted",
    "WebhookDeliveryAttempted",
    "WebhookRedeliveryRequested",
    "WebhookUpdated",
]
