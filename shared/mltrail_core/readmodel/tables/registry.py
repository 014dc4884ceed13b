"""The model registry, as it is and as it was."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table

from mltrail_core.readmodel.tables.columns import METADATA, TEXT, id_column, us_column

registered_models = Table(
    "registered_models",
    METADATA,
    Column("name", TEXT, primary_key=True),
    id_column(
        "registry_id"
    ),  # the place of its creation in `control`, as "index.number": stays when the model is renamed
    Column("description", TEXT, nullable=True),
    Column("next_version", Integer, nullable=False),
    us_column("created_us"),
    us_column("updated_us"),
    Column("actor", TEXT, nullable=False),
    id_column("actor_known"),
)

registered_model_tags = Table(
    "registered_model_tags",
    METADATA,
    Column("name", TEXT, primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),
)

model_versions = Table(
    "model_versions",
    METADATA,
    Column("name", TEXT, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("index", BigInteger, nullable=False),  # of the record in `control`: how its sender finds its number
    Column("source", TEXT, nullable=False),
    Column("storage_location", TEXT, nullable=False),
    id_column("run_id", nullable=True),
    Column("run_link", TEXT, nullable=True),
    id_column("model_id", nullable=True),
    Column("description", TEXT, nullable=True),
    id_column("stage"),
    id_column("status"),
    us_column("created_us"),
    us_column("updated_us"),
    Column("user", TEXT, nullable=False),
    Column("actor", TEXT, nullable=False),
    id_column("actor_known"),
    Index("model_versions_by_index", "index"),
    Index("model_versions_by_run", "run_id"),
)

model_version_tags = Table(
    "model_version_tags",
    METADATA,
    Column("name", TEXT, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("key", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),
)

registered_model_aliases = Table(
    "registered_model_aliases",
    METADATA,
    Column("name", TEXT, primary_key=True),
    Column("alias", TEXT, primary_key=True),
    Column("version", Integer, nullable=False),
)

# What follows outlives deletion: it answers what the registry said at any moment.

registered_model_names = Table(  # who got a name, and when: a row for each moment at which its owner changed
    "registered_model_names",
    METADATA,
    Column("name", TEXT, primary_key=True),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    id_column("registry_id", nullable=True),  # NULL: from here on nobody has the name
    us_column("appended_us"),
    Index("registered_model_names_by_model", "registry_id"),
)

registered_model_origins = Table(
    "registered_model_origins",
    METADATA,
    id_column("registry_id", primary_key=True),
    us_column("created_us"),
    Column("user", TEXT, nullable=False),
)

model_version_origins = Table(  # what a version was made of; none of it ever changes
    "model_version_origins",
    METADATA,
    id_column("registry_id", primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("source", TEXT, nullable=False),
    Column("storage_location", TEXT, nullable=False),
    id_column("run_id", nullable=True),
    Column("run_link", TEXT, nullable=True),
    id_column("model_id", nullable=True),
    us_column("created_us"),
    Column("user", TEXT, nullable=False),
)

registry_changes = Table(  # each value that changed, with the one before
    "registry_changes",
    METADATA,
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("part", Integer, primary_key=True, autoincrement=False),  # of the changes that one event made
    id_column("registry_id"),
    Column("name", TEXT, nullable=False),  # the model's when the change came
    Column("version", Integer, nullable=True),  # NULL: of the model itself
    id_column("kind"),  # created, renamed, deleted, description, tag, alias, stage
    Column("key", TEXT, nullable=True),  # of the tag, or the alias
    Column("before", TEXT, nullable=True),
    Column("after", TEXT, nullable=True),
    Column("actor", TEXT, nullable=False),
    id_column("actor_known"),
    us_column("appended_us"),
    Index("registry_changes_by_model", "registry_id", "index"),
)
