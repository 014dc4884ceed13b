"""API tokens."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table

from mltrail_core.readmodel.tables.columns import METADATA, TEXT, id_column, us_column

tokens = Table(  # revoked ones stay: what was done with them keeps its user
    "tokens",
    METADATA,
    id_column("token_id", primary_key=True),
    Column("user", TEXT, nullable=False),
    Column("label", TEXT, nullable=False),
    Column("secret_sha256", TEXT, nullable=False),  # of the whole token; see mltrail_core.token
    us_column("created_us"),
    us_column("expires_us", nullable=True),
    us_column("revoked_us", nullable=True),
    Column("actor", TEXT, nullable=False),
    id_column("actor_known"),
    Index("tokens_by_user", "user"),
)
