"""Events of experiments; all go to the partition `control`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mltrail_core.events.text import FreeText


@dataclass(frozen=True, slots=True)
class ExperimentCreated:
    """Emitted by create-experiment: an experiment with this name begins. Rejected when the name is taken, also by a
    deleted experiment, as in MLflow. `created_us` is given by imports only: when it began elsewhere."""

    WIRE_NAME: ClassVar[str] = "experiment_created"
    occurred_us: int
    experiment_id: str
    name: str
    artifact_location: str | None = None
    created_us: int | None = None


@dataclass(frozen=True, slots=True)
class ExperimentEnsured:
    """Emitted by trainers that know an experiment only by name: it is created under `proposed_id`, or `proposed_id`
    becomes an alias of the experiment that has the name already. Never rejected for a taken name."""

    WIRE_NAME: ClassVar[str] = "experiment_ensured"
    occurred_us: int
    proposed_id: str
    name: str


@dataclass(frozen=True, slots=True)
class ExperimentRenamed:
    """Emitted by update-experiment: the experiment is called `name` from now on."""

    WIRE_NAME: ClassVar[str] = "experiment_renamed"
    occurred_us: int
    experiment_id: str
    name: str


@dataclass(frozen=True, slots=True)
class ExperimentTagSet:
    """Emitted by set-experiment-tag: the tag has this value, whatever it had before."""

    WIRE_NAME: ClassVar[str] = "experiment_tag_set"
    occurred_us: int
    experiment_id: str
    key: str
    value: FreeText


@dataclass(frozen=True, slots=True)
class ExperimentTagDeleted:
    """Emitted by delete-experiment-tag: the tag is gone."""

    WIRE_NAME: ClassVar[str] = "experiment_tag_deleted"
    occurred_us: int
    experiment_id: str
    key: str


@dataclass(frozen=True, slots=True)
class ExperimentDeleted:
    """Emitted by delete-experiment: the experiment and, at read time, all its runs count as deleted."""

    WIRE_NAME: ClassVar[str] = "experiment_deleted"
    occurred_us: int
    experiment_id: str


@dataclass(frozen=True, slots=True)
class ExperimentRestored:
    """Emitted by restore-experiment: the experiment is active again."""

    WIRE_NAME: ClassVar[str] = "experiment_restored"
    occurred_us: int
    experiment_id: str
