"""Which kind of source `--from` names."""

from __future__ import annotations

from pathlib import Path

from mltrail_cli.importing.source import Source
from mltrail_core.errors import Invalid


def open_source(origin: str, artifacts_root: Path | None, token: str | None) -> Source:
    """Open what `--from` names; only the module of that kind is imported.

    Args:
        origin: `http(s)://…`, a database URL of SQLAlchemy's, or the path or `file:` URI of a folder.
        artifacts_root: the folder that the source's `mlflow-artifacts:` URIs are below.
        token: sent to a server as Bearer.

    Raises:
        Invalid: it is none of these, or what is there is not MLflow's.
        Unavailable: it can't be reached.
    """
    scheme, separator, rest = origin.partition("://")
    if separator and scheme in ("http", "https"):
        from mltrail_cli.importing.rest import RestSource

        return RestSource(origin, token)
    if separator and scheme != "file":
        from mltrail_cli.importing.database import DatabaseSource

        return DatabaseSource(origin, artifacts_root)
    folder = Path(rest if separator else origin.removeprefix("file:"))
    if not folder.is_dir():
        raise Invalid(f"--from {origin}: expected http://host:port, sqlite:///mlflow.db, postgresql://… or a folder")
    from mltrail_cli.importing.folder import FolderSource

    return FolderSource(folder, artifacts_root)
