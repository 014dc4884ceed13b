"""What an import reads: the things of an MLflow store, and the port that its three kinds (REST, database, folder) pass.

Times are µs UTC; where a source does not know a time it says None.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mltrail_core.errors import MltrailError
from mltrail_core.metric_block import MetricPoint

_LOGGED_MODEL = re.compile(r"models:/(m-[0-9a-f]{32})$")


class FilesUnreachable(MltrailError):
    """The artifacts of one run or model can't be read from here; the message says where they lie and what to do."""


@dataclass(frozen=True, slots=True)
class SourceExperiment:
    """An experiment, with its tags."""

    experiment_id: str
    name: str
    artifact_location: str | None
    is_deleted: bool
    created_us: int | None
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SourceDataset:
    """A dataset that a run read; `tags` say as what."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None
    profile: str | None
    tags: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SourceRun:
    """A run with all but its metric points and files."""

    run_id: str
    experiment_id: str
    name: str
    user: str
    status: str
    started_us: int
    ended_us: int | None
    is_deleted: bool
    artifact_uri: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metric_keys: Sequence[str]
    datasets: Sequence[SourceDataset] = ()
    model_inputs: Sequence[str] = ()
    model_outputs: Sequence[tuple[str, int]] = ()


@dataclass(frozen=True, slots=True)
class SourceLink:
    """A point of a run that is also a metric of a logged model, maybe on a dataset."""

    model_id: str
    point: MetricPoint
    dataset_name: str | None
    dataset_digest: str | None


@dataclass(frozen=True, slots=True)
class SourceModel:
    """A logged model with all but its metrics and files."""

    model_id: str
    experiment_id: str
    name: str
    model_type: str | None
    source_run_id: str | None
    status: str
    created_us: int
    artifact_uri: str
    params: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SourceVersion:
    """A version of a registered model. `storage_location` is where its files lie, by the source's own word."""

    name: str
    number: int
    created_us: int
    description: str | None
    user: str | None
    stage: str
    source: str
    storage_location: str | None
    run_id: str | None
    run_link: str | None
    model_id: str | None
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SourceRegistered:
    """A registered model; `aliases` name version numbers, `versions` are in order of their number."""

    name: str
    created_us: int
    description: str | None
    tags: Mapping[str, str]
    aliases: Mapping[str, int] = field(default_factory=dict)
    versions: Sequence[SourceVersion] = ()


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file below the artifact root of a run or logged model."""

    path: str
    size_bytes: int


def logged_model_in(uri: str) -> str | None:
    """Return the logged model that a version's source names as `models:/m-…`; MLflow keeps its id nowhere else."""
    found = _LOGGED_MODEL.match(uri)
    return found and found[1]


class Source(Protocol):
    """A store of MLflow's to import from, read in pages so that memory stays bounded."""

    @property
    def identity(self) -> str:
        """What tells this source from every other, without a password; names of producers derive from it."""

    def run_count(self) -> int | None:
        """Return about how many runs there are, for the progress bar; None when that is not known cheaply."""

    def experiments(self) -> Iterator[SourceExperiment]:
        """Yield every experiment, deleted ones too."""

    def runs(self, experiment_id: str) -> Iterator[Sequence[SourceRun]]:
        """Yield the runs of an experiment in pages, deleted ones too."""

    def points(self, run: SourceRun, key: str) -> Iterator[MetricPoint]:
        """Yield the whole history of one metric."""

    def links(self, run: SourceRun) -> Sequence[SourceLink]:
        """Return which of a run's points are metrics of logged models."""

    def models(self, experiment_id: str) -> Iterator[SourceModel]:
        """Yield the logged models of an experiment that are not deleted."""

    def registered_models(self) -> Iterator[SourceRegistered]:
        """Yield every registered model with its versions."""

    def files(self, owner: SourceRun | SourceModel) -> Iterator[SourceFile]:
        """Yield every file of a run or logged model.

        Raises:
            FilesUnreachable: they can't be read from here.
        """

    def read_file(self, owner: SourceRun | SourceModel, path: str) -> Iterator[bytes]:
        """Stream the bytes of a file.

        Raises:
            FilesUnreachable: it can't be read from here.
        """

    def close(self) -> None:
        """Release files and connections."""
