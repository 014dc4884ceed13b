"""What the registry said at any moment: folded from the kept changes of one model, deletions and renames included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, RowMapping, select

from mltrail_core.readmodel.tables import (
    model_version_origins,
    registered_model_names,
    registered_model_origins,
    registry_changes,
)

NOW_US = 2**63 - 1
"""The moment that no change comes after."""
LATEST = "latest"
"""The alias that nobody can set: the highest version."""
_ROWS_PER_QUERY = 5_000
V = TypeVar("V")


@dataclass(slots=True)
class VersionState:
    """A version as it was. Times are µs UTC."""

    version: int
    stage: str
    updated_us: int
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ModelState:
    """A registered model as it was, with the versions it had, by number. Times are µs UTC."""

    registry_id: str
    name: str
    updated_us: int
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    versions: dict[int, VersionState] = field(default_factory=dict)
    is_deleted: bool = False

    def aliases_of(self, version: int) -> list[str]:
        """Return the aliases that name a version, sorted."""
        return sorted(alias for alias, number in self.aliases.items() if number == version)

    def in_stage(self, stage: str) -> list[int]:
        """Return the versions in a stage, however its letters are written, the highest first."""
        wanted = stage.lower()
        return sorted(
            (found.version for found in self.versions.values() if found.stage.lower() == wanted), reverse=True
        )

    def of_alias(self, alias: str) -> int | None:
        """Return the version that an alias names, or None."""
        if alias.lower() == LATEST:
            return max(self.versions, default=None)
        return self.aliases.get(alias)


def load_state(connection: Connection, name: str, at_us: int) -> ModelState | None:
    """Return the registered model that had this name at a moment, as it was then; None when nobody had it."""
    names = registered_model_names.c
    registry_id = connection.execute(
        select(names.registry_id)
        .where(names.name == name, names.appended_us <= at_us)
        .order_by(names["index"].desc(), names.number.desc())
        .limit(1)
    ).scalar()
    return None if registry_id is None else _folded(connection, registry_id, at_us)


def load_origins(connection: Connection, registry_id: str, versions: list[int]) -> Mapping[int, RowMapping]:
    """Return what versions were made of, by number."""
    columns = model_version_origins.c
    return {
        row["version"]: row
        for first in range(0, len(versions), _ROWS_PER_QUERY)
        for row in connection.execute(
            select(model_version_origins).where(
                columns.registry_id == registry_id, columns.version.in_(versions[first : first + _ROWS_PER_QUERY])
            )
        ).mappings()
    }


def load_beginning(connection: Connection, registry_id: str) -> tuple[int, str]:
    """Return when a model was created, in µs, and by whom."""
    columns = registered_model_origins.c
    found = connection.execute(select(columns.created_us, columns.user).where(columns.registry_id == registry_id)).one()
    return found.created_us, found.user


def _folded(connection: Connection, registry_id: str, at_us: int) -> ModelState:
    state = ModelState(registry_id, "", 0)
    for row in _changes_until(connection, registry_id, at_us):
        if row.kind == "alias":
            _set(state.aliases, row.key, None if row.after is None else int(row.after))
        elif row.version is None:
            _change_model(state, row)
        else:
            _change_version(state, row)
    return state


def _changes_until(connection: Connection, registry_id: str, at_us: int) -> Iterator[Any]:
    columns = registry_changes.c
    query = (
        select(columns.version, columns.kind, columns.key, columns.after, columns.appended_us)
        .where(columns.registry_id == registry_id, columns.appended_us <= at_us)
        .order_by(columns["index"], columns.number, columns.part)
    )
    yield from connection.execute(query)


def _change_model(state: ModelState, row: Any) -> None:
    match row.kind:
        case "tag":
            _set(state.tags, row.key, row.after)
            return  # tags and aliases leave the time of the last update, as in MLflow
        case "created" | "renamed":
            state.name = row.after
            for version in state.versions.values():
                version.updated_us = row.appended_us
        case "description":
            state.description = row.after
        case "deleted":
            state.is_deleted = True
    state.updated_us = row.appended_us


def _change_version(state: ModelState, row: Any) -> None:
    match row.kind:
        case "tag":
            _set(state.versions[row.version].tags, row.key, row.after)
            return
        case "created":
            state.versions[row.version] = VersionState(row.version, row.after, row.appended_us)
            state.updated_us = row.appended_us
        case "deleted":
            del state.versions[row.version]
            state.updated_us = row.appended_us
        case "stage":
            state.versions[row.version].stage = row.after
            state.versions[row.version].updated_us = row.appended_us
            state.updated_us = row.appended_us
        case "description":
            state.versions[row.version].description = row.after
            state.versions[row.version].updated_us = row.appended_us


def _set(values: dict[str, V], key: str, value: V | None) -> None:
    if value is None:
        values.pop(key, None)
    else:
        values[key] = value
