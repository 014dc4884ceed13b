"""Registered models and their versions in the read model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select, tuple_

from mltrail_core.readmodel.tables import (
    model_version_tags,
    model_versions,
    registered_model_aliases,
    registered_model_tags,
    registered_models,
)

_MAX_NUMBER = 2**31 - 1
_ROWS_PER_QUERY = 5_000
"""SQLite binds at most 32,766 values, two for a version."""

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class VersionView:
    """A version of a registered model; tags are sorted by key. Times are µs UTC."""

    name: str
    number: int
    source: str
    storage_location: str
    run_id: str | None
    run_link: str | None
    model_id: str | None
    description: str | None
    stage: str
    status: str
    user: str
    created_us: int
    updated_us: int
    tags: Pairs
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RegisteredModelView:
    """A registered model. `latest` are the highest versions of each stage, the stage of the lowest version first, as in
    MLflow. Times are µs UTC."""

    name: str
    description: str | None
    user: str
    created_us: int
    updated_us: int
    tags: Pairs
    latest: tuple[VersionView, ...]
    aliases: tuple[tuple[str, int], ...] = ()


def load_registered_model(connection: Connection, name: str) -> RegisteredModelView | None:
    """Return a registered model, or None when there is none of this name."""
    return next(iter(load_registered_models(connection, [name])), None)


def load_registered_models(connection: Connection, names: Sequence[str]) -> list[RegisteredModelView]:
    """Return the registered models of `names`, in that order; unknown names are left out."""
    models = {
        row.name: row
        for row in connection.execute(select(registered_models).where(registered_models.c.name.in_(names)))
    }
    tags_of = defaultdict[str, list[tuple[str, str]]](list)
    tags = select(registered_model_tags).where(registered_model_tags.c.name.in_(models))
    for name, key, value in connection.execute(tags.order_by(registered_model_tags.c.key)):
        tags_of[name].append((key, value))
    latest_of = _latest(connection, list(models))
    aliases_of = defaultdict[str, list[tuple[str, int]]](list)
    for name, alias, number in connection.execute(_aliases(registered_model_aliases.c.name.in_(models))):
        aliases_of[name].append((alias, number))
    return [
        RegisteredModelView(
            name=name,
            description=models[name].description,
            user=models[name].actor,
            created_us=models[name].created_us,
            updated_us=models[name].updated_us,
            tags=tuple(tags_of[name]),
            latest=tuple(latest_of[name]),
            aliases=tuple(aliases_of[name]),
        )
        for name in names
        if name in models
    ]


def load_version(connection: Connection, name: str, number: int) -> VersionView | None:
    """Return a version of a registered model, or None when there is none of this number."""
    if not 0 < number <= _MAX_NUMBER:
        return None
    return next(iter(load_versions(connection, [(name, number)])), None)


def load_version_at(connection: Connection, name: str, index: int) -> VersionView | None:
    """Return the version that the record at `index` of `control` made, or None."""
    query = select(model_versions.c.version).where(model_versions.c["index"] == index, model_versions.c.name == name)
    number = connection.execute(query).scalar()
    return None if number is None else load_version(connection, name, number)


def load_version_of_alias(connection: Connection, name: str, alias: str) -> VersionView | None:
    """Return the version that an alias names, or None when it names none."""
    aliases = registered_model_aliases.c
    number = connection.execute(select(aliases.version).where(aliases.name == name, aliases.alias == alias)).scalar()
    return None if number is None else load_version(connection, name, number)


def load_versions(connection: Connection, keys: Sequence[tuple[str, int]]) -> list[VersionView]:
    """Return the versions of `keys`, each a name and a number, in that order; unknown ones are left out."""
    return [
        view
        for first in range(0, len(keys), _ROWS_PER_QUERY)
        for view in _load_versions(connection, keys[first : first + _ROWS_PER_QUERY])
    ]


def _latest(connection: Connection, names: Sequence[str]) -> dict[str, list[VersionView]]:
    columns = model_versions.c
    highest = (
        select(columns.name, func.max(columns.version))
        .where(columns.name.in_(names))
        .group_by(columns.name, columns.stage)
        .order_by(columns.name, func.min(columns.version))
    )
    latest_of = defaultdict[str, list[VersionView]](list)
    for version in load_versions(connection, [(row[0], row[1]) for row in connection.execute(highest)]):
        latest_of[version.name].append(version)
    return latest_of


def _load_versions(connection: Connection, keys: Sequence[tuple[str, int]]) -> Iterator[VersionView]:
    key = tuple_(model_versions.c.name, model_versions.c.version)
    rows: dict[tuple[str, int], Row[Any]] = {
        (row.name, row.version): row for row in connection.execute(select(model_versions).where(key.in_(keys)))
    }
    tag_key = tuple_(model_version_tags.c.name, model_version_tags.c.version)
    tags_of = defaultdict[tuple[str, int], list[tuple[str, str]]](list)
    tags = select(model_version_tags).where(tag_key.in_(list(rows))).order_by(model_version_tags.c.key)
    for name, number, tag, value in connection.execute(tags):
        tags_of[name, number].append((tag, value))
    aliases_of = defaultdict[tuple[str, int], list[str]](list)
    alias_key = tuple_(registered_model_aliases.c.name, registered_model_aliases.c.version)
    for name, alias, number in connection.execute(_aliases(alias_key.in_(list(rows)))):
        aliases_of[name, number].append(alias)
    for place in keys:
        if (row := rows.get(place)) is not None:
            yield VersionView(
                name=row.name,
                number=row.version,
                source=row.source,
                storage_location=row.storage_location,
                run_id=row.run_id,
                run_link=row.run_link,
                model_id=row.model_id,
                description=row.description,
                stage=row.stage,
                status=row.status,
                user=row.user,
                created_us=row.created_us,
                updated_us=row.updated_us,
                tags=tuple(tags_of[place]),
                aliases=tuple(aliases_of[place]),
            )


def _aliases(condition: ColumnElement[bool]) -> Select[Any]:
    columns = registered_model_aliases.c
    return select(columns.name, columns.alias, columns.version).where(condition).order_by(columns.name, columns.alias)
