"""Experiments, their names, aliases and tags."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Table

from mltrail_core.readmodel.tables.columns import METADATA, TEXT, id_column, us_column

experiments = Table(
    "experiments",
    METADATA,
    id_column("experiment_id", primary_key=True),
    Column("name", TEXT, nullable=False),
    Column("artifact_location", TEXT, nullable=True),  # NULL: mlflow-artifacts:/<experiment id>
    Column("is_deleted", Boolean, nullable=False),
    us_column("created_us"),
    us_column("updated_us"),
    Column("actor", TEXT, nullable=False),
    id_column("actor_known"),
)

experiment_names = Table(  # names in use, also by deleted experiments
    "experiment_names",
    METADATA,
    Column("name", TEXT, primary_key=True),
    id_column("experiment_id"),
)

experiment_aliases = Table(  # ids that trainers proposed for experiments that had another id already
    "experiment_aliases",
    METADATA,
    id_column("proposed_id", primary_key=True),
    id_column("experiment_id"),
    Index("experiment_aliases_by_experiment", "experiment_id"),
)

experiment_tags = Table(
    "experiment_tags",
    METADATA,
    id_column("experiment_id", primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),
)
