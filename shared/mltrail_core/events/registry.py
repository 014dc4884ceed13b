"""Events of the model registry; all go to the partition `control`, whose fold hands out version numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mltrail_core.events.text import FreeText, TextPairs


@dataclass(frozen=True, slots=True)
class RegisteredModelCreated:
    """Emitted by registered-models create: a model with this name begins. Rejected when the name is taken.
    `created_us` is given by imports only: when it began elsewhere."""

    WIRE_NAME: ClassVar[str] = "registered_model_created"
    occurred_us: int
    name: str
    description: FreeText | None = None
    tags: TextPairs = ()
    created_us: int | None = None


@dataclass(frozen=True, slots=True)
class RegisteredModelEnsured:
    """Emitted by the SDK before it registers a version: a model with this name begins unless there is one. Never
    rejected for a taken name."""

    WIRE_NAME: ClassVar[str] = "registered_model_ensured"
    occurred_us: int
    name: str


@dataclass(frozen=True, slots=True)
class ModelVersionCreated:
    """Emitted by model-versions create: the next version of the registered model; the fold gives it its number.
    Imports only say when and by whom it was made elsewhere, and its `number` there; one that was given here already,
    or that a later one was given, is rejected."""

    WIRE_NAME: ClassVar[str] = "model_version_created"
    occurred_us: int
    name: str
    source: str
    storage_location: str
    run_id: str | None = None
    run_link: str | None = None
    model_id: str | None = None
    description: FreeText | None = None
    tags: TextPairs = ()
    created_us: int | None = None
    number: int | None = None
    user: FreeText | None = None


@dataclass(frozen=True, slots=True)
class RegisteredModelRenamed:
    """Emitted by registered-models rename: the model, with its versions, tags and aliases, is called `new_name` from
    now on. Rejected when another model has that name."""

    WIRE_NAME: ClassVar[str] = "registered_model_renamed"
    occurred_us: int
    name: str
    new_name: str


@dataclass(frozen=True, slots=True)
class RegisteredModelDescribed:
    """Emitted by registered-models update: the model has this description, or none."""

    WIRE_NAME: ClassVar[str] = "registered_model_described"
    occurred_us: int
    name: str
    description: FreeText | None = None


@dataclass(frozen=True, slots=True)
class RegisteredModelTagSet:
    """Emitted by registered-models set-tag: the model's tag has this value, whatever it had before."""

    WIRE_NAME: ClassVar[str] = "registered_model_tag_set"
    occurred_us: int
    name: str
    key: str
    value: FreeText


@dataclass(frozen=True, slots=True)
class RegisteredModelTagDeleted:
    """Emitted by registered-models delete-tag: the model's tag is gone. Accepted when it was not there."""

    WIRE_NAME: ClassVar[str] = "registered_model_tag_deleted"
    occurred_us: int
    name: str
    key: str


@dataclass(frozen=True, slots=True)
class RegisteredModelDeleted:
    """Emitted by registered-models delete: the model and all its versions, tags and aliases are gone; its name is free,
    and a new model of that name counts its versions from 1. Its history stays."""

    WIRE_NAME: ClassVar[str] = "registered_model_deleted"
    occurred_us: int
    name: str


@dataclass(frozen=True, slots=True)
class AliasSet:
    """Emitted by registered-models alias: the alias names this version, whichever it named before."""

    WIRE_NAME: ClassVar[str] = "alias_set"
    occurred_us: int
    name: str
    alias: str
    version: int


@dataclass(frozen=True, slots=True)
class AliasDeleted:
    """Emitted by registered-models delete of an alias: it names nothing. Accepted when it was not there."""

    WIRE_NAME: ClassVar[str] = "alias_deleted"
    occurred_us: int
    name: str
    alias: str


@dataclass(frozen=True, slots=True)
class StageChanged:
    """Emitted by model-versions transition-stage: the version is in `stage`. `others_to` names the stage that all other
    versions in `stage` go to at the same moment (MLflow's archive_existing_versions); None leaves them."""

    WIRE_NAME: ClassVar[str] = "stage_changed"
    occurred_us: int
    name: str
    version: int
    stage: str
    others_to: str | None = None


@dataclass(frozen=True, slots=True)
class ModelVersionDescribed:
    """Emitted by model-versions update: the version has this description, or none."""

    WIRE_NAME: ClassVar[str] = "model_version_described"
    occurred_us: int
    name: str
    version: int
    description: FreeText | None = None


@dataclass(frozen=True, slots=True)
class ModelVersionTagSet:
    """Emitted by model-versions set-tag: the version's tag has this value, whatever it had before."""

    WIRE_NAME: ClassVar[str] = "model_version_tag_set"
    occurred_us: int
    name: str
    version: int
    key: str
    value: FreeText


@dataclass(frozen=True, slots=True)
class ModelVersionTagDeleted:
    """Emitted by model-versions delete-tag: the version's tag is gone. Accepted when it was not there."""

    WIRE_NAME: ClassVar[str] = "model_version_tag_deleted"
    occurred_us: int
    name: str
    version: int
    key: str


@dataclass(frozen=True, slots=True)
class ModelVersionDeleted:
    """Emitted by model-versions delete: the version and the aliases that name it are gone; its number is never given
    again while the model lives. Its history stays."""

    WIRE_NAME: ClassVar[str] = "model_version_deleted"
    occurred_us: int
    name: str
    version: int
