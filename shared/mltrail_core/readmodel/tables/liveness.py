"""Runs whose writers went silent."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table

from mltrail_core.readmodel.tables.columns import METADATA, id_column, us_column

lost_runs = Table(  # no column of runs: the rows of runs that were never lost are pinned
    "lost_runs",
    METADATA,
    id_column("run_id", primary_key=True),
    us_column("last_seen_us"),
    Column("lease_s", BigInteger, nullable=False),
    us_column("lost_us"),
    Column("index", BigInteger, nullable=False),  # of the record that said so: what is written later is a sign of life
)
