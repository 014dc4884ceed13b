"""Artifacts in the read model; directories are made up from the paths of files, as object stores do."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from mltrail_api.search.placement import ARTIFACT_URI, PLACED_RUNS
from mltrail_core.readmodel.tables import artifacts, runs


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What a path holds now."""

    path: str
    size_bytes: int
    sha256: str


def run_artifact_uri(connection: Connection, run_id: str) -> str | None:
    """Return where a run's artifacts are said to be, or None when there is no such run."""
    return connection.execute(select(ARTIFACT_URI).select_from(PLACED_RUNS).where(runs.c.run_id == run_id)).scalar()


def file_at(connection: Connection, owner: str, path: str) -> StoredFile | None:
    """Return the file at a path, or None."""
    row = connection.execute(_FILES.where(artifacts.c.owner == owner, artifacts.c.path == path)).first()
    return None if row is None else StoredFile(*row)


def is_directory(connection: Connection, owner: str, path: str) -> bool:
    """Return whether there are files below a path."""
    query = select(artifacts.c.path).where(artifacts.c.owner == owner, _below(path)).limit(1)
    return connection.execute(query).first() is not None


def file_above(connection: Connection, owner: str, path: str) -> str | None:
    """Return the path of a file that stands where a directory of `path` would, or None."""
    parts = path.split("/")
    above = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
    query = select(artifacts.c.path).where(artifacts.c.owner == owner, artifacts.c.path.in_(above)).limit(1)
    return connection.execute(query).scalar() if above else None


def files_under(connection: Connection, owner: str, path: str) -> list[StoredFile]:
    """Return the file at a path and all files below it; "" gives every file of the owner."""
    condition = or_(artifacts.c.path == path, _below(path))
    rows = connection.execute(_FILES.where(artifacts.c.owner == owner, condition).order_by(artifacts.c.path))
    return [StoredFile(*row) for row in rows]


def listed(connection: Connection, owner: str, directory: str, shown_below: str) -> list[dict[str, object]]:
    """Return a directory as MLflow's JSON lists it, in order of path; a file has no entries.

    Args:
        connection: to the read model.
        owner: of the artifacts.
        directory: its path, "" for the root.
        shown_below: what stands before the name of each entry.
    """
    query = _FILES.where(artifacts.c.owner == owner, _below(directory)).order_by(artifacts.c.path)
    files = (StoredFile(*row) for row in connection.execute(query))
    return list(_entries(files, f"{directory}/" if directory else "", shown_below))


_FILES = select(artifacts.c.path, artifacts.c.size_bytes, artifacts.c.sha256)


def _below(path: str) -> ColumnElement[bool]:
    if not path:
        return artifacts.c.path != ""
    # Paths are compared byte by byte, and "0" follows "/": the range is what the primary key can look up.
    return and_(artifacts.c.path > f"{path}/", artifacts.c.path < f"{path}0")


def _entries(files: Iterator[StoredFile], prefix: str, shown_below: str) -> Iterator[dict[str, object]]:
    seen: set[str] = set()
    for file in files:
        name, slash, _ = file.path[len(prefix) :].partition("/")
        shown = posixpath.join(shown_below, name)
        if not slash:
            yield {"path": shown, "is_dir": False, "file_size": file.size_bytes}
        elif name not in seen:
            seen.add(name)
            yield {"path": shown, "is_dir": True}
