"""Events of runs; all of a run's events go to the partition of its id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mltrail_core.events.text import FreeText, TextPairs


@dataclass(frozen=True, slots=True)
class RunCreated:
    """Emitted by create-run and by the SDK: a run begins, in status RUNNING. `experiment_id` may be an id that
    `experiment_ensured` proposed."""

    WIRE_NAME: ClassVar[str] = "run_created"
    occurred_us: int
    run_id: str
    experiment_id: str
    name: str
    user: FreeText
    started_us: int


@dataclass(frozen=True, slots=True)
class RunRenamed:
    """Emitted by update-run: the run is called `name` from now on."""

    WIRE_NAME: ClassVar[str] = "run_renamed"
    occurred_us: int
    run_id: str
    name: str


@dataclass(frozen=True, slots=True)
class RunStatusChanged:
    """Emitted by update-run and at the end of a run: its status (RUNNING, SCHEDULED, FINISHED, FAILED, KILLED), and
    when it ended if it did. `ended_us` of None leaves the end as it was."""

    WIRE_NAME: ClassVar[str] = "run_status_changed"
    occurred_us: int
    run_id: str
    status: str
    ended_us: int | None = None


@dataclass(frozen=True, slots=True)
class TagSet:
    """Emitted by set-tag and log-batch: the run's tag has this value, whatever it had before."""

    WIRE_NAME: ClassVar[str] = "tag_set"
    occurred_us: int
    run_id: str
    key: str
    value: FreeText


@dataclass(frozen=True, slots=True)
class TagDeleted:
    """Emitted by delete-tag: the run's tag is gone. Rejected when it is not there."""

    WIRE_NAME: ClassVar[str] = "tag_deleted"
    occurred_us: int
    run_id: str
    key: str


@dataclass(frozen=True, slots=True)
class ParamLogged:
    """Emitted by log-parameter and log-batch: the run's param has this value. The same value again is accepted and
    changes nothing; another value is rejected."""

    WIRE_NAME: ClassVar[str] = "param_logged"
    occurred_us: int
    run_id: str
    key: str
    value: FreeText


@dataclass(frozen=True, slots=True)
class MetricsLogged:
    """Emitted by everything that logs metrics: n points of one run, in columns.

    `keys` is the dictionary of distinct keys; the four columns are little-endian arrays of equal length n:
    `key_indices` uint32 (into `keys`), `steps` int64, `times_us` int64, `values` float64 (NaN and ±Infinity allowed).
    `model_id`, `dataset_name` and `dataset_digest` link all points of the block to a logged model and a dataset.
    """

    WIRE_NAME: ClassVar[str] = "metrics_logged"
    occurred_us: int
    run_id: str
    keys: tuple[str, ...]
    key_indices: bytes
    steps: bytes
    times_us: bytes
    values: bytes
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


@dataclass(frozen=True, slots=True)
class DatasetInputLogged:
    """Emitted by log-inputs: the run read this dataset; `tags` (key, value pairs) say as what (training, …)."""

    WIRE_NAME: ClassVar[str] = "dataset_input_logged"
    occurred_us: int
    run_id: str
    name: str
    digest: str
    source_type: str
    source: FreeText
    schema: FreeText | None = None
    profile: FreeText | None = None
    tags: TextPairs = ()


@dataclass(frozen=True, slots=True)
class ModelInputLogged:
    """Emitted by log-inputs: the run read this logged model."""

    WIRE_NAME: ClassVar[str] = "model_input_logged"
    occurred_us: int
    run_id: str
    model_id: str


@dataclass(frozen=True, slots=True)
class ModelOutputLogged:
    """Emitted by runs/outputs: the run produced this logged model at `step`."""

    WIRE_NAME: ClassVar[str] = "model_output_logged"
    occurred_us: int
    run_id: str
    model_id: str
    step: int


@dataclass(frozen=True, slots=True)
class RunDeleted:
    """Emitted by delete-run: the run counts as deleted until it is restored; nothing is removed."""

    WIRE_NAME: ClassVar[str] = "run_deleted"
    occurred_us: int
    run_id: str


@dataclass(frozen=True, slots=True)
class RunRestored:
    """Emitted by restore-run: the run is active again."""

    WIRE_NAME: ClassVar[str] = "run_restored"
    occurred_us: int
    run_id: str
