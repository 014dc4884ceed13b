"""Artifacts, as they are and as they were."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table

from mltrail_core.readmodel.tables.columns import METADATA, TEXT, id_column, us_column

artifacts = Table(
    "artifacts",
    METADATA,
    id_column("owner", primary_key=True),  # run id, logged model id, or `files`
    Column("path", TEXT, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    id_column("sha256"),
    Column("media_type", TEXT, nullable=True),
    us_column("stored_us"),
    Index("artifacts_by_blob", "sha256"),
)

artifact_versions = Table(  # what a path held before and since, deletions included
    "artifact_versions",
    METADATA,
    id_column("owner", primary_key=True),
    Column("path", TEXT, primary_key=True),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("size_bytes", BigInteger, nullable=True),
    id_column("sha256", nullable=True),  # NULL: deleted
    us_column("stored_us"),
    Column("actor", TEXT, nullable=False),
)
