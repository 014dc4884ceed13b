"""Events of logged models (MLflow 3); they go to the partition of the model's id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mltrail_core.events.text import FreeText


@dataclass(frozen=True, slots=True)
class LoggedModelCreated:
    """Emitted by logged-models create: a model begins, in status LOGGED_MODEL_PENDING. `created_us` is given by imports
    only: when it began elsewhere."""

    WIRE_NAME: ClassVar[str] = "logged_model_created"
    occurred_us: int
    model_id: str
    experiment_id: str
    name: str
    model_type: str | None = None
    source_run_id: str | None = None
    created_us: int | None = None


@dataclass(frozen=True, slots=True)
class LoggedModelFinalized:
    """Emitted by logged-models finalize: the status is LOGGED_MODEL_READY or LOGGED_MODEL_UPLOAD_FAILED."""

    WIRE_NAME: ClassVar[str] = "logged_model_finalized"
    occurred_us: int
    model_id: str
    status: str


@dataclass(frozen=True, slots=True)
class LoggedModelDeleted:
    """Emitted by logged-models delete: the model is found no more; nothing is removed, and saying it again changes
    nothing."""

    WIRE_NAME: ClassVar[str] = "logged_model_deleted"
    occurred_us: int
    model_id: str


@dataclass(frozen=True, slots=True)
class LoggedModelParamLogged:
    """Emitted by logged-models params: the model's param has this value; another value for the key is rejected."""

    WIRE_NAME: ClassVar[str] = "logged_model_param_logged"
    occurred_us: int
    model_id: str
    key: str
    value: FreeText


@dataclass(frozen=True, slots=True)
class LoggedModelTagSet:
    """Emitted by logged-models tags: the model's tag has this value, whatever it had before."""

    WIRE_NAME: ClassVar[str] = "logged_model_tag_set"
    occurred_us: int
    model_id: str
    key: str
    value: FreeText


@dataclass(frozen=True, slots=True)
class LoggedModelTagDeleted:
    """Emitted by logged-models tag delete: the model's tag is gone. Rejected when it is not there."""

    WIRE_NAME: ClassVar[str] = "logged_model_tag_deleted"
    occurred_us: int
    model_id: str
    key: str
