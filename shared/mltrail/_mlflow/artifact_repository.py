"""Artifacts: files of runs are copied and sent in the background; models, and all reads, go over REST."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import verify_artifact_path
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository

from mltrail._mlflow.connection import Connection
from mltrail._mlflow.run_writer import RunWriter

_FLUSH_TIMEOUT_S = 30.0
"""How long a read waits for files that this process has logged."""


class MltrailArtifactRepository(MlflowArtifactsRepository):
    """Files below an `mlflow-artifacts:` URI, of the server that a connection names."""

    def __init__(self, artifact_uri: str, connection: Connection, **options: str) -> None:
        self._connection = connection
        self._path = unquote(urlsplit(artifact_uri).path).strip("/")
        super().__init__(artifact_uri, tracking_uri=connection.api_url(), **options)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Keep a file: a run's is copied before this returns, and sent later; any other is sent now."""
        verify_artifact_path(artifact_path)
        found = self._run()
        if found is None:
            super().log_artifact(local_file, artifact_path)
            return
        writer, below = found
        file = Path(local_file)
        writer.log_artifact(file, posixpath.join(below, artifact_path or "", file.name))

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """List files, those that this process has logged before included."""
        self._flush()
        found: list[FileInfo] = super().list_artifacts(path)
        return found

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Delete files, those that this process has logged before included."""
        self._flush()
        super().delete_artifacts(artifact_path)

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        self._flush()
        super()._download_file(remote_file_path, local_path)

    def _run(self) -> tuple[RunWriter, str] | None:
        """Return the run whose files these are, and the path in it; None for files of logged models and others."""
        candidates = list(_owners(self._path))
        for owner, below in candidates:
            writer = self._connection.known_writer(owner)
            if writer is not None:
                return writer, below
        if len(candidates) != 1:
            return None
        owner, below = candidates[0]
        try:
            return self._connection.writer(owner), below
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
        return None

    def _flush(self) -> None:
        for owner, _ in _owners(self._path):
            self._connection.flush(_FLUSH_TIMEOUT_S, owner)


def _owners(path: str) -> Iterator[tuple[str, str]]:
    """Yield what may be the run, and the path in it, of `(…/)<run id>/artifacts/(…)`, leftmost first; a logged model's
    `models/<model id>/artifacts` is none."""
    parts = path.split("/")
    for number in range(len(parts) - 1):
        if parts[number + 1] == "artifacts" and (number == 0 or parts[number - 1] != "models"):
            yield parts[number], "/".join(parts[number + 2 :])
