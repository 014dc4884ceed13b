"""Logged models (MLflow 3)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Table

from mltrail_core.readmodel.tables.columns import METADATA, TEXT, id_column, us_column

logged_models = Table(
    "logged_models",
    METADATA,
    id_column("model_id", primary_key=True),
    id_column("experiment_id"),
    Column("name", TEXT, nullable=False),
    Column("model_type", TEXT, nullable=True),
    id_column("source_run_id", nullable=True),
    id_column("status"),
    us_column("created_us"),
    us_column("updated_us"),
    Index("logged_models_by_experiment", "experiment_id"),
)

deleted_logged_models = Table(  # no column of logged_models: the rows of models that were never deleted are pinned
    "deleted_logged_models",
    METADATA,
    id_column("model_id", primary_key=True),
    us_column("deleted_us"),
)

logged_model_params = Table(
    "logged_model_params",
    METADATA,
    id_column("model_id", primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),
)

logged_model_tags = Table(
    "logged_model_tags",
    METADATA,
    id_column("model_id", primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),
)

logged_model_metrics = Table(  # written by the fold of the run that logged them; '' where no dataset was named
    "logged_model_metrics",
    METADATA,
    id_column("model_id", primary_key=True),
    id_column("run_id", primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("dataset_name", TEXT, primary_key=True),
    Column("dataset_digest", TEXT, primary_key=True),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("time_us", BigInteger, primary_key=True, autoincrement=False),
    Column("value", Double, nullable=True),
)
