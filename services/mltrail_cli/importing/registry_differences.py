"""What a registered model of the source has that the one here has not, as the events that would say it."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, select

from mltrail_cli.importing.artifact_locations import Relocations
from mltrail_cli.importing.placement import NameTaken
from mltrail_cli.importing.source import SourceRegistered, SourceVersion
from mltrail_core.events import (
    AliasSet,
    Event,
    ModelVersionCreated,
    ModelVersionDescribed,
    ModelVersionTagSet,
    RegisteredModelCreated,
    RegisteredModelDescribed,
    RegisteredModelTagSet,
    StageChanged,
)
from mltrail_core.readmodel.tables import (
    model_version_tags,
    model_versions,
    registered_model_aliases,
    registered_model_tags,
    registered_models,
)
from mltrail_core.registry_rules import STAGE_NONE


def missing_of_registered(connection: Connection, model: SourceRegistered, name: str) -> Iterator[Event]:
    """Yield what makes the registered model `name` say what the source's says; versions and aliases aside."""
    at_us = model.created_us
    here = connection.execute(select(registered_models.c.description).where(registered_models.c.name == name)).first()
    if here is None:
        yield RegisteredModelCreated(at_us, name, model.description, tuple(model.tags.items()), model.created_us)
        return
    if here.description != model.description:
        yield RegisteredModelDescribed(at_us, name, model.description)
    columns = registered_model_tags.c
    tags_here = dict(connection.execute(select(columns.key, columns.value).where(columns.name == name)).all())
    for key, value in model.tags.items():
        if tags_here.get(key) != value:
            yield RegisteredModelTagSet(at_us, name, key, value)


def missing_of_version(
    connection: Connection, version: SourceVersion, name: str, relocations: Relocations
) -> Iterator[Event]:
    """Yield what makes the version of `name` with this number say what the source's says.

    Raises:
        NameTaken: another version has the number.
    """
    at_us, number = version.created_us, version.number
    columns = model_versions.c
    query = select(columns.created_us, columns.description, columns.stage).where(
        columns.name == name, columns.version == number
    )
    here = connection.execute(query).first()
    owners = (version.model_id, version.run_id)
    if here is None:
        location = version.storage_location or version.source
        yield ModelVersionCreated(
            at_us,
            name,
            relocations.relocated(version.source, owners),
            relocations.relocated(location, owners),
            version.run_id,
            version.run_link,
            version.model_id,
            version.description,
            tuple(version.tags.items()),
            version.created_us,
            number,
            version.user,
        )
    else:
        if here.created_us != version.created_us:
            raise NameTaken(f"version {number} of {name!r}: another version has that number here; it is left out")
        if here.description != version.description:
            yield ModelVersionDescribed(at_us, name, number, version.description)
        tags = model_version_tags.c
        tags_query = select(tags.key, tags.value).where(tags.name == name, tags.version == number)
        tags_here = dict(connection.execute(tags_query).all())
        for key, value in version.tags.items():
            if tags_here.get(key) != value:
                yield ModelVersionTagSet(at_us, name, number, key, value)
    if version.stage != (STAGE_NONE if here is None else here.stage):
        yield StageChanged(at_us, name, number, version.stage)


def missing_aliases(connection: Connection, model: SourceRegistered, name: str) -> Iterator[Event]:
    """Yield what makes the aliases of `name` name the versions that the source's name."""
    columns = registered_model_aliases.c
    query = select(columns.alias, columns.version).where(columns.name == name)
    here = dict(connection.execute(query).all())
    for alias, number in sorted(model.aliases.items()):
        if here.get(alias) != number:
            yield AliasSet(model.created_us, name, alias, number)
