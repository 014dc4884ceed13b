"""A folder of MLflow's file store (`mlruns`) as a source: YAML for what things are, a file per param and metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mltrail_cli.importing.folder_parsing import (
    Meta,
    dataset_of,
    model_of,
    read_meta,
    registered_of,
    run_of,
    texts_in,
    version_of,
)
from mltrail_cli.importing.local_files import bytes_of, files_below, folder_of
from mltrail_cli.importing.source import (
    SourceDataset,
    SourceExperiment,
    SourceFile,
    SourceLink,
    SourceModel,
    SourceRegistered,
    SourceRun,
)
from mltrail_core.errors import Invalid
from mltrail_core.metric_block import MetricPoint

_RUNS_PER_PAGE = 200
_META = "meta.yaml"
_TRASH = ".trash"


class FolderSource:
    """The folder that `MLFLOW_TRACKING_URI` names; it is only read.

    Raises:
        Invalid: it is no folder of MLflow's, or PyYAML is not installed.
    """

    def __init__(self, folder: Path, artifacts_root: Path | None) -> None:
        self._folder = folder.resolve()
        self._artifacts_root = artifacts_root
        self.identity = self._folder.as_uri()
        self._owner_folders: dict[str, Path] = {}
        self._links: dict[str, list[SourceLink]] = {}
        if not any(self._experiment_folders()):
            raise Invalid(
                f"{self._folder} holds no experiment; expected <id>/{_META} as MLflow's file store writes them"
            )

    def run_count(self) -> int | None:
        """Return how many runs there are."""
        return sum(1 for folder in self._experiment_folders() for _ in folder.glob(f"*/{_META}"))

    def experiments(self) -> Iterator[SourceExperiment]:
        """Yield every experiment, those in the trash too."""
        for folder in self._experiment_folders():
            meta = read_meta(folder / _META)
            created_ms = meta.get("creation_time")
            yield SourceExperiment(
                str(meta["experiment_id"]),
                str(meta["name"]),
                str(meta["artifact_location"]) if meta.get("artifact_location") else None,
                meta.get("lifecycle_stage") == "deleted" or folder.parent.name == _TRASH,
                None if created_ms is None else int(str(created_ms)) * 1000,
                texts_in(folder / "tags"),
            )

    def runs(self, experiment_id: str) -> Iterator[Sequence[SourceRun]]:
        """Yield an experiment's runs page by page."""
        folder = self._experiment_folder(experiment_id)
        self._links = self._links_of(folder)
        page: list[SourceRun] = []
        for meta_path in sorted(folder.glob(f"*/{_META}")):
            page.append(self._run(folder, meta_path.parent, experiment_id))
            if len(page) == _RUNS_PER_PAGE:
                yield page
                page = []
        if page:
            yield page

    def points(self, run: SourceRun, key: str) -> Iterator[MetricPoint]:
        """Yield the whole history of one metric, a line each: time, value, step."""
        path = self._experiment_folder(run.experiment_id) / run.run_id / "metrics" / key
        with path.open() as lines:
            for line in lines:
                parts = line.split(" ")
                step = int(parts[2]) if len(parts) > 2 else 0
                yield MetricPoint(key, float(parts[1]), step, int(parts[0]) * 1000)

    def links(self, run: SourceRun) -> Sequence[SourceLink]:
        """Return the run's points that are metrics of logged models of its experiment."""
        return self._links.get(run.run_id, [])

    def models(self, experiment_id: str) -> Iterator[SourceModel]:
        """Yield an experiment's logged models."""
        for path in sorted(self._experiment_folder(experiment_id).glob(f"models/*/{_META}")):
            meta = read_meta(path)
            if meta.get("lifecycle_stage") != "deleted":
                yield model_of(meta, experiment_id, path.parent)

    def registered_models(self) -> Iterator[SourceRegistered]:
        """Yield every registered model with its versions."""
        for path in sorted((self._folder / "models").glob(f"*/{_META}")):
            versions = [
                version_of(read_meta(version), version.parent)
                for version in path.parent.glob(f"version-*/{_META}")
                if read_meta(version).get("current_stage") != "Deleted_Internal"
            ]
            yield registered_of(read_meta(path), path.parent, versions)

    def files(self, owner: SourceRun | SourceModel) -> Iterator[SourceFile]:
        """Yield every file of a run or logged model."""
        return files_below(self._artifacts(owner))

    def read_file(self, owner: SourceRun | SourceModel, path: str) -> Iterator[bytes]:
        """Stream a file."""
        return bytes_of(self._artifacts(owner) / path)

    def close(self) -> None:
        """Nothing is held open."""

    def _experiment_folders(self) -> Iterator[Path]:
        for parent in (self._folder, self._folder / _TRASH):
            for path in sorted(parent.glob(f"*/{_META}")):
                if "experiment_id" in read_meta(path) and path.parent.name != "models":
                    yield path.parent

    def _experiment_folder(self, experiment_id: str) -> Path:
        here = self._folder / experiment_id
        return here if here.is_dir() else self._folder / _TRASH / experiment_id

    def _run(self, experiment: Path, folder: Path, experiment_id: str) -> SourceRun:
        datasets: list[SourceDataset] = []
        models: list[str] = []
        for path in sorted(folder.glob(f"inputs/*/{_META}")):
            given = read_meta(path)
            if given.get("source_type") == "DATASET":
                known = read_meta(experiment / "datasets" / str(given["source_id"]) / _META)
                datasets.append(dataset_of(known, given))
            else:
                models.append(str(given["destination_id"]))
        outputs: list[tuple[str, int]] = []
        for path in sorted(folder.glob(f"outputs/*/{_META}")):
            output: Meta = read_meta(path)
            outputs.append((str(output["destination_id"]), int(str(output.get("step") or 0))))
        return run_of(read_meta(folder / _META), experiment_id, folder, datasets, models, outputs)

    def _links_of(self, experiment: Path) -> dict[str, list[SourceLink]]:
        found: dict[str, list[SourceLink]] = {}
        for folder in experiment.glob("models/*/metrics"):
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                key = path.relative_to(folder).as_posix()
                for line in path.read_text().splitlines():
                    time_ms, value, step, run_id, *dataset = line.split(" ")
                    point = MetricPoint(key, float(value), int(step), int(time_ms) * 1000)
                    name, digest = dataset if len(dataset) == 2 else (None, None)
                    found.setdefault(run_id, []).append(SourceLink(folder.parent.name, point, name, digest))
        return found

    def _artifacts(self, owner: SourceRun | SourceModel) -> Path:
        experiment = self._experiment_folder(owner.experiment_id)
        own = owner.run_id if isinstance(owner, SourceRun) else f"models/{owner.model_id}"
        # The folder may have been moved since the URI was written: what lies beside its metadata comes first.
        beside = experiment / own / "artifacts"
        if any(files_below(beside)):
            return beside
        return folder_of(owner.artifact_uri, self._artifacts_root, self._folder.parent)
