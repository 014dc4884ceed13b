"""Events of the model registry; all go to the partition `control`, whose fold hands out version numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mltrail_core.events.text import FreeText, TextPairs


@dataclass(frozen=True, slots=True)
class RegisteredModelCreated:
    """Emitted by registered-models create: a model with this name begins. Rejected when the name is taken."""

    WIRE_NAME: ClassVar[str] = "registered_model_created"
    occurred_us: int
    name: str
    description: FreeText | None = None
    tags: TextPairs = ()


@dataclass(frozen=True, slots=True)
class ModelVersionCreated:
    """Emitted by model-versions create: the next version of the registered model; the fold gives it its number."""

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
