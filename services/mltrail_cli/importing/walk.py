"""One walk over a source: everything is compared with the read model, and what is missing is appended, or only counted.

A first walk appends; a second one, after projecting, finds nothing missing: so "twice gives nothing new" is what every
import proves of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import select

from mltrail_api.search.view import RunView, load_runs
from mltrail_cli.importing.artifact_locations import Relocations
from mltrail_cli.importing.artifacts import missing_files, store_file
from mltrail_cli.importing.experiment_differences import missing_of_experiment
from mltrail_cli.importing.model_differences import missing_of_model
from mltrail_cli.importing.placement import (
    NameTaken,
    experiment_subject,
    place_experiment,
    place_registered,
    registered_subject,
)
from mltrail_cli.importing.points import missing_points
from mltrail_cli.importing.registry_differences import missing_aliases, missing_of_registered, missing_of_version
from mltrail_cli.importing.run_differences import missing_end, missing_facts, through_deletion
from mltrail_cli.importing.sender import Sender
from mltrail_cli.importing.source import (
    FilesUnreachable,
    Source,
    SourceExperiment,
    SourceModel,
    SourceRegistered,
    SourceRun,
)
from mltrail_cli.importing.tally import Kind, Tally
from mltrail_core.artifacts import ArtifactStore
from mltrail_core.errors import Invalid
from mltrail_core.events import ArtifactStored, Event
from mltrail_core.ids import CONTROL, Partition, partition_of
from mltrail_core.readmodel.store import ReadModel
from mltrail_core.readmodel.tables import runs

_FILES_PER_APPEND = 100

Step = Literal["runs", "points", "bytes"]


@dataclass(slots=True)
class Walk:
    """A walk that appends what is missing (`is_sending`), or only counts it."""

    source: Source
    read_model: ReadModel
    store: ArtifactStore
    sender: Sender
    is_sending: bool
    takes_artifacts: bool
    rename_suffix: str | None
    progress: Callable[[Step, int], None]
    tally: Tally = field(default_factory=Tally)
    _relocations: Relocations = field(default_factory=Relocations)

    def whole(self) -> Tally:
        """Walk over everything, and return what was counted."""
        if self.takes_artifacts:
            self._relocations = Relocations.for_registry(self.source.registered_models())
        for experiment in self.source.experiments():
            self._experiment(experiment)
        for model in self.source.registered_models():
            self._registered(model)
        if self.is_sending:
            self.sender.flush()
        return self.tally

    def _experiment(self, experiment: SourceExperiment) -> None:
        self.tally.count("experiments")
        try:
            with self.read_model.reading() as connection:
                placed = place_experiment(
                    connection, experiment, self.sender.producer_of, self.source.identity, self.rename_suffix
                )
                events = list(
                    missing_of_experiment(connection, experiment, placed, keeps_location=not self.takes_artifacts)
                )
        except NameTaken as taken:
            self.tally.lacks("experiments")
            self.tally.problems.append(f"{taken}. Its runs and models are left out.")
            return
        self.tally.count("tags", len(experiment.tags))
        self._send(experiment_subject(experiment.experiment_id), CONTROL, "experiments", events)
        for page in self.source.runs(experiment.experiment_id):
            self._runs(page, placed.experiment_id)
        for model in self.source.models(experiment.experiment_id):
            self._model(model, placed.experiment_id)

    def _runs(self, page: Iterable[SourceRun], experiment_id: str) -> None:
        page = list(page)
        ids = [run.run_id for run in page]
        is_deleted = runs.c.run_id.in_(ids) & runs.c.is_deleted
        with self.read_model.reading() as connection:
            here = {view.run_id: view for view in load_runs(connection, ids)}
            deleted = set(connection.execute(select(runs.c.run_id).where(is_deleted)).scalars())
        for run in page:
            self._run(run, experiment_id, here.get(run.run_id), run.run_id in deleted)
            self.progress("runs", 1)

    def _run(self, run: SourceRun, experiment_id: str, here: RunView | None, is_deleted_here: bool) -> None:
        self.tally.count("runs")
        self.tally.count("params", len(run.params))
        self.tally.count("tags", len(run.tags))
        self.tally.count("datasets", len(run.datasets))
        self.tally.count("model inputs and outputs", len(run.model_inputs) + len(run.model_outputs))
        known_keys = [] if here is None else [metric.key for metric in here.metrics]

        def events() -> Iterator[Event]:
            before = self.tally.source["points"]
            yield from missing_facts(run, experiment_id, here)
            yield from missing_points(self.source, run, self.read_model, known_keys, self.tally)
            yield from missing_end(run, here)
            self.progress("points", self.tally.source["points"] - before)

        subject = f"run/{run.run_id}"
        self._send(subject, partition_of(run.run_id), "runs", through_deletion(run, is_deleted_here, events()))
        self._relocations.add(run.run_id, run.artifact_uri, experiment_id)
        self._files(subject, run, run.run_id)

    def _model(self, model: SourceModel, experiment_id: str) -> None:
        self.tally.count("logged models")
        self.tally.count("params", len(model.params))
        self.tally.count("tags", len(model.tags))
        with self.read_model.reading() as connection:
            events = list(missing_of_model(connection, model, experiment_id))
        subject = f"logged model/{model.model_id}"
        self._send(subject, partition_of(model.model_id), "logged models", events)
        self._relocations.add(model.model_id, model.artifact_uri, experiment_id)
        self._files(subject, model, model.model_id)

    def _registered(self, model: SourceRegistered) -> None:
        self.tally.count("registered models")
        subject = registered_subject(model.name)
        try:
            with self.read_model.reading() as connection:
                name = place_registered(connection, model, self.sender.producer_of, self.rename_suffix)
                events = list(missing_of_registered(connection, model, name))
                aliases = list(missing_aliases(connection, model, name))
        except NameTaken as taken:
            self.tally.lacks("registered models")
            self.tally.problems.append(f"{taken}. Its versions are left out.")
            return
        self.tally.count("tags", len(model.tags))
        self._send(subject, CONTROL, "registered models", events)
        for version in model.versions:
            self.tally.count("model versions")
            self.tally.count("tags", len(version.tags))
            try:
                with self.read_model.reading() as connection:
                    events = list(missing_of_version(connection, version, name, self._relocations))
            except NameTaken as taken:
                self.tally.lacks("model versions")
                self.tally.problems.append(str(taken))
                continue
            self._send(subject, CONTROL, "model versions", events)
        self.tally.count("aliases", len(model.aliases))
        self._send(subject, CONTROL, "aliases", aliases)

    def _files(self, subject: str, owner: SourceRun | SourceModel, owner_id: str) -> None:
        if not self.takes_artifacts:
            return
        stored: list[ArtifactStored] = []
        for file in missing_files(self.source, owner, owner_id, self.read_model, self.tally):
            if not self.is_sending:
                continue
            try:
                stored.append(
                    store_file(
                        self.source, owner, owner_id, file, self.store, lambda size: self.progress("bytes", size)
                    )
                )
            except FilesUnreachable as unreachable:
                self.tally.problems.append(f"artifact of {owner_id}: {unreachable}")
            if len(stored) == _FILES_PER_APPEND:
                self.sender.send(subject, partition_of(owner_id), stored)
                stored = []
        self.sender.send(subject, partition_of(owner_id), stored)

    def _send(self, subject: str, partition: Partition, kind: Kind, events: Iterable[Event]) -> None:
        watched = self.tally.watch(kind, events)
        if not self.is_sending:
            for _ in watched:
                pass
            return
        try:
            self.sender.send(subject, partition, watched)
        except Invalid as error:
            self.tally.problems.append(f"{subject}: {error}")
