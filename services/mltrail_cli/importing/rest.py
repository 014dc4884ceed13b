"""A running MLflow server (or another mltrail) as a source, through its REST protocol, in pages."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote, urlsplit, urlunsplit

from mltrail_cli.importing.rest_connection import Json, RestConnection
from mltrail_cli.importing.rest_parsing import (
    as_float,
    experiment_of,
    model_of,
    registered_of,
    run_of,
    version_of,
)
from mltrail_cli.importing.source import (
    FilesUnreachable,
    SourceExperiment,
    SourceFile,
    SourceLink,
    SourceModel,
    SourceRegistered,
    SourceRun,
    SourceVersion,
)
from mltrail_core.metric_block import MetricPoint

_PAGE = 200
_POINTS_PAGE = 25_000
_API = "/api/2.0/mlflow"
_BROWSER_API = "/ajax-api/2.0/mlflow"


class RestSource:
    """The server at `url`; user and password may stand in it. `token` is sent as Bearer.

    Raises:
        Unavailable: it can't be reached, or does not speak MLflow's protocol.
    """

    def __init__(self, url: str, token: str | None) -> None:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        self.identity = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        self._connection = RestConnection(url.rstrip("/"), token)
        self._links: dict[str, list[SourceLink]] | None = None

    def run_count(self) -> int | None:
        """Return None: the protocol has no word for it."""
        return None

    def experiments(self) -> Iterator[SourceExperiment]:
        """Yield every experiment."""
        body: Json = {"view_type": "ALL", "max_results": _PAGE}
        for found in self._connection.pages(f"{_API}/experiments/search", body, "experiments"):
            yield experiment_of(found)

    def runs(self, experiment_id: str) -> Iterator[Sequence[SourceRun]]:
        """Yield an experiment's runs page by page."""
        body: Json = {
            "experiment_ids": [experiment_id],
            "run_view_type": "ALL",
            "max_results": _PAGE,
            "order_by": ["attributes.start_time ASC"],
        }
        page: list[SourceRun] = []
        for found in self._connection.pages(f"{_API}/runs/search", body, "runs"):
            # A stock server's search leaves out which logged models a run read.
            run_id = str(self._connection.object(found, "info")["run_id"])
            whole = self._connection.get(f"{_API}/runs/get", {"run_id": run_id})
            page.append(run_of(self._connection.object(whole, "run")))
            if len(page) == _PAGE:
                yield page
                page = []
        if page:
            yield page

    def points(self, run: SourceRun, key: str) -> Iterator[MetricPoint]:
        """Yield the whole history of one metric."""
        query = {"run_id": run.run_id, "metric_key": key, "max_results": str(_POINTS_PAGE)}
        for found in self._connection.listed(f"{_API}/metrics/get-history", query, "metrics"):
            yield _point(found)

    def links(self, run: SourceRun) -> Sequence[SourceLink]:
        """Return the run's points that are metrics of logged models; asked once for all runs."""
        if self._links is None:
            self._links = defaultdict(list)
            for experiment in self.experiments():
                for info in self._models(experiment.experiment_id):
                    for metric in self._connection.objects(self._connection.object(info, "data"), "metrics"):
                        name, digest = metric.get("dataset_name"), metric.get("dataset_digest")
                        model_id = str(self._connection.object(info, "info")["model_id"])
                        link = SourceLink(
                            model_id, _point(metric), str(name) if name else None, str(digest) if digest else None
                        )
                        self._links[str(metric["run_id"])].append(link)
        return self._links.get(run.run_id, [])

    def models(self, experiment_id: str) -> Iterator[SourceModel]:
        """Yield an experiment's logged models."""
        for found in self._models(experiment_id):
            yield model_of(found)

    def registered_models(self) -> Iterator[SourceRegistered]:
        """Yield every registered model with its versions."""
        query = {"max_results": str(_PAGE)}
        for found in self._connection.listed(f"{_API}/registered-models/search", query, "registered_models"):
            name = str(found["name"])
            wanted = {"filter": f"name = '{name}'", "max_results": str(_PAGE)}
            versions = self._connection.listed(f"{_API}/model-versions/search", wanted, "model_versions")
            yield registered_of(found, [self._version(version) for version in versions])

    def files(self, owner: SourceRun | SourceModel) -> Iterator[SourceFile]:
        """Yield every file of a run or logged model, asking directory by directory."""
        directories = [""]
        while directories:
            for found in self._directory(owner, directories.pop()):
                path = str(found["path"])
                if found.get("is_dir"):
                    directories.append(path)
                else:
                    yield SourceFile(path, int(str(found.get("file_size") or 0)))

    def read_file(self, owner: SourceRun | SourceModel, path: str) -> Iterator[bytes]:
        """Stream a file: from the server's proxy when its artifacts are there, else from where pages download it."""
        root = urlsplit(owner.artifact_uri)
        if root.scheme == "mlflow-artifacts":
            below = quote(f"{root.path.strip('/')}/{path}")
            return self._connection.bytes_of(f"/api/2.0/mlflow-artifacts/artifacts/{below}", {})
        if isinstance(owner, SourceRun):
            return self._connection.bytes_of("/get-artifact", {"run_id": owner.run_id, "path": path})
        url = f"{_BROWSER_API}/logged-models/{owner.model_id}/artifacts/files"
        return self._connection.bytes_of(url, {"artifact_file_path": path})

    def close(self) -> None:
        """Release the connections."""
        self._connection.close()

    def _models(self, experiment_id: str) -> Iterator[Json]:
        body: Json = {"experiment_ids": [experiment_id], "max_results": 50}
        return self._connection.pages(f"{_API}/logged-models/search", body, "models", is_optional=True)

    def _version(self, found: Json) -> SourceVersion:
        query = {"name": str(found["name"]), "version": str(found["version"])}
        place = self._connection.get(f"{_API}/model-versions/get-download-uri", query)
        return version_of(found, str(place.get("artifact_uri") or "") or None)

    def _directory(self, owner: SourceRun | SourceModel, path: str) -> Iterator[Json]:
        if isinstance(owner, SourceRun):
            query = {"run_id": owner.run_id} | ({"path": path} if path else {})
            return self._connection.listed(f"{_API}/artifacts/list", query, "files", failure=FilesUnreachable)
        query = {"artifact_directory_path": path} if path else {}
        url = f"{_API}/logged-models/{owner.model_id}/artifacts/directories"
        return self._connection.listed(url, query, "files", failure=FilesUnreachable)


def _point(found: Mapping[str, object]) -> MetricPoint:
    value = as_float(found.get("value", math.nan))
    step, timestamp = int(str(found.get("step", 0))), int(str(found.get("timestamp", 0)))
    return MetricPoint(str(found["key"]), value, step, timestamp * 1000)
