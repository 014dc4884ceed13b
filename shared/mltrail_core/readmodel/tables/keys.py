"""Which keys the runs of an experiment have: what a user can filter, order and chart by."""

from __future__ import annotations

from sqlalchemy import Column, Table

from mltrail_core.readmodel.tables.columns import CLUSTERED, METADATA, TEXT, id_column

experiment_keys = Table(  # a key that some run had once stays, as a tag's that was deleted since
    "experiment_keys",
    METADATA,
    id_column("experiment_id", primary_key=True),  # as runs say it: the experiment's own id or one of its aliases
    id_column("kind", primary_key=True),  # metric, param, tag
    Column("key", TEXT, primary_key=True),
    id_column("partition", primary_key=True),  # of the runs that have it: each partition's fold writes its own rows
    **CLUSTERED,
)
