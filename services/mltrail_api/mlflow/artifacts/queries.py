"""Artifacts in the read model; directories are made up from the paths of files, as object stores do."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, CompoundSelect, Connection, Table, and_, null, or_, select, union_all

from mltrail_api.search.placement import ARTIFACT_URI, PLACED_RUNS
from mltrail_core.readmodel.tables import artifacts, runs, unverified_artifacts


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What a path holds now: a blob, or what came as an upload past the server and is not hashed yet."""

    path: str
    size_bytes: int
    sha256: str | None
    upload_id: str | None


def run_artifact_uri(connection: Connection, run_id: str) -> str | None:
    """Return where a run's artifacts are said to be, or None when there is no such run."""
    return connection.execute(select(ARTIFACT_URI).select_from(PLACED_RUNS).where(runs.c.run_id == run_id)).scalar()


def file_at(connection: Connection, owner: str, path: str) -> StoredFile | None:
    """Return the file at a path, or None."""
    row = connection.execute(_files(owner, lambda table: table.c.path == path)).first()
    return None if row is None else StoredFile(*row)


def is_directory(connection: Connection, owner: str, path: str) -> bool:
    """Return whether there are files below a path."""
    return connection.execute(_files(owner, _below(path)).limit(1)).first() is not None


def file_above(connection: Connection, owner: str, path: str) -> str | None:
    """Return the path of a file that stands where a directory of `path` would, or None."""
    parts = path.split("/")
    above = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
    query = _files(owner, lambda table: table.c.path.in_(above)).limit(1)
    return connection.execute(query).scalar() if above else None


def files_under(connection: Connection, owner: str, path: str) -> list[StoredFile]:
    """Return the file at a path and all files below it; "" gives every file of the owner."""
    below = _below(path)
    rows = connection.execute(_files(owner, lambda table: or_(table.c.path == path, below(table))))
    return [StoredFile(*row) for row in rows]


def listed(connection: Connection, owner: str, directory: str, shown_below: str) -> list[dict[str, object]]:
    """Return a directory as MLflow's JSON lists it, in order of path; a file has no entries.

    Args:
        connection: to the read model.
        owner: of the artifacts.
        directory: its path, "" for the root.
        shown_below: what stands before the name of each entry.
    """
    files = (StoredFile(*row) for row in connection.execute(_files(owner, _below(directory))))
    return list(_entries(files, f"{directory}/" if directory else "", shown_below))


_Which = Callable[[Table], ColumnElement[bool]]


def _files(owner: str, which: _Which) -> CompoundSelect[str, int, str | None, str | None]:
    """Return the query for files of an owner, in order of path: no path stands in both tables."""
    stored = select(artifacts.c.path, artifacts.c.size_bytes, artifacts.c.sha256, null().label("upload_id"))
    uploaded = select(
        unverified_artifacts.c.path,
        unverified_artifacts.c.size_bytes,
        null().label("sha256"),
        unverified_artifacts.c.upload_id,
    )
    both = union_all(
        stored.where(artifacts.c.owner == owner, which(artifacts)),
        uploaded.where(unverified_artifacts.c.owner == owner, which(unverified_artifacts)),
    )
    return both.order_by("path")


def _below(path: str) -> _Which:
    if not path:
        return lambda table: table.c.path != ""
    # Paths are compared byte by byte, and "0" follows "/": the range is what the primary key can look up.
    return lambda table: and_(table.c.path > f"{path}/", table.c.path < f"{path}0")


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
