"""Runs with their params, tags and metrics, and what they read and produced."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Double,
    FromClause,
    Index,
    Integer,
    LargeBinary,
    Table,
    column,
    func,
    literal_column,
)

from mltrail_core.readmodel.tables.columns import CLUSTERED, METADATA, TEXT, id_column, us_column

HEAD_CHARACTERS = 256
"""So much of a param or tag PostgreSQL has in its index, whose entries take 2,704 bytes at most. SQLite has it whole,
so that it reads the index alone where a condition needs the whole value."""
HEAD = "value_head"
"""The column of `params` and `tags` that PostgreSQL generates from the value. An index on the expression itself would
not be read without looking at the table: to tell a run of each entry takes ten times as long then."""
HEADS_TO_COME = "mltrail_heads_to_come"
"""The option of a connection whose tables do not have that column yet, so that its indexes are made later."""


def indexed_value(table: FromClause, dialect: str) -> ColumnElement[str]:
    """Return the value of `params` or `tags`, or of an alias of them, as it is indexed."""
    return table.c.value if dialect == "sqlite" else column(HEAD, TEXT, _selectable=table)


def indexed_text(column: ColumnElement[str], dialect: str) -> ColumnElement[str]:
    """Return a text as it is indexed.

    Spelled without parameters: an index on an expression serves only what is written alike.
    """
    if dialect == "sqlite":
        return column
    return func.substr(column, literal_column("1"), literal_column(str(HEAD_CHARACTERS)), type_=TEXT)


def _index_values(table: Table) -> None:
    """Give `params` or `tags` its index by key and value. It holds the run's id too, of SQLite as the table's key."""
    for dialect in ("sqlite", "postgresql"):
        Index(
            f"{table.name}_by_key_{dialect}",
            table.c.key,
            indexed_value(table, dialect),
            postgresql_include=["run_id"],
        ).ddl_if(dialect=dialect, callable_=_has_its_columns)


def _has_its_columns(
    ddl: object, target: object, bind: Connection | None, tables: object = None, state: object = None, **_: object
) -> bool:
    return bind is None or not bind.get_execution_options().get(HEADS_TO_COME, False)


_WHERE_SEARCHED: dict[str, Any] = {"postgresql_with": {"autovacuum_vacuum_insert_scale_factor": 0.05}}
"""PostgreSQL reads an index without its table where vacuum has marked the page: sooner than after a fifth more rows."""

runs = Table(
    "runs",
    METADATA,
    id_column("run_id", primary_key=True),
    id_column("experiment_id"),  # as the producer said it: the experiment's own id or one of its aliases
    Column("name", TEXT, nullable=False),
    Column("user", TEXT, nullable=False),
    id_column("status"),
    us_column("started_us"),
    us_column("ended_us", nullable=True),
    Column("is_deleted", Boolean, nullable=False),  # by its own events; a deleted experiment deletes its runs at read
    us_column("deleted_us", nullable=True),
    us_column("created_us"),
    Column("actor", TEXT, nullable=False),
    id_column("actor_known"),
)
Index("runs_by_experiment", runs.c.experiment_id, runs.c.started_us.desc(), runs.c.run_id)
Index("runs_by_start", runs.c.started_us.desc(), runs.c.run_id)  # of all experiments, or of several
RUN_DURATION_US: ColumnElement[int] = runs.c.ended_us - runs.c.started_us
# What an experiment's runs are sorted by elsewhere; small beside the rows of a run's params and metrics.
Index("runs_by_end", runs.c.experiment_id, runs.c.ended_us)
Index("runs_by_duration", runs.c.experiment_id, RUN_DURATION_US)
Index("runs_by_status", runs.c.status, runs.c.run_id)
for _dialect in ("sqlite", "postgresql"):
    Index(f"runs_by_name_{_dialect}", runs.c.experiment_id, indexed_text(runs.c.name, _dialect)).ddl_if(
        dialect=_dialect
    )

params = Table(
    "params",
    METADATA,
    id_column("run_id", primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),
    **CLUSTERED,
    **_WHERE_SEARCHED,
)
_index_values(params)

tags = Table(
    "tags",
    METADATA,
    id_column("run_id", primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),
    **CLUSTERED,
    **_WHERE_SEARCHED,
)
_index_values(tags)

_INSERTS_BEFORE_VACUUM = ("autovacuum_vacuum_insert_threshold", "toast.autovacuum_vacuum_insert_threshold")

metric_blocks = Table(  # the points of a run, as they came, one row for each run and projection batch
    "metric_blocks",
    METADATA,
    id_column("run_id", primary_key=True),
    Column("last_index", BigInteger, primary_key=True, autoincrement=False),  # of the run's partition
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("point_count", Integer, nullable=False),
    Column("block", LargeBinary, nullable=False),  # see mltrail_core.metric_block
    # Rows are added fast, and gone once they are compacted: to vacuum what was only added reads it all for nothing.
    postgresql_with={name: -1 for name in _INSERTS_BEFORE_VACUUM},
)

metric_summaries = Table(  # one row for each run and key, exact duplicates counted as logged
    "metric_summaries",
    METADATA,
    id_column("run_id", primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("logged_points", BigInteger, nullable=False),
    Column("last_step", BigInteger, nullable=False),  # last by (step, time, value), NaN below every number
    us_column("last_time_us"),
    Column("last_value", Double, nullable=True),
    Column("first_step", BigInteger, nullable=False),
    us_column("first_time_us"),
    Column("first_value", Double, nullable=True),
    Column("min_value", Double, nullable=True),  # NULL while every value was NaN
    Column("min_step", BigInteger, nullable=True),
    Column("max_value", Double, nullable=True),
    Column("max_step", BigInteger, nullable=True),
    **CLUSTERED,
    **_WHERE_SEARCHED,
)
# Walked in the order of the last values. Where the least or greatest are asked for, a key's part of it is read from
# end to end, which is 20 ms for 100,000 runs; an order of their own would cost each metric two more entries.
_indexed = metric_summaries.c
Index(
    "metric_summaries_by_key_sqlite", _indexed.key, _indexed.last_value, _indexed.min_value, _indexed.max_value
).ddl_if(dialect="sqlite")
Index(
    "metric_summaries_by_key_postgresql",
    _indexed.key,
    _indexed.last_value,
    postgresql_include=["min_value", "max_value", "run_id"],
).ddl_if(dialect="postgresql")

dataset_inputs = Table(
    "dataset_inputs",
    METADATA,
    id_column("run_id", primary_key=True),
    Column("name", TEXT, primary_key=True),
    Column("digest", TEXT, primary_key=True),
    Column("source_type", TEXT, nullable=False),
    Column("source", TEXT, nullable=False),
    Column("schema", TEXT, nullable=True),
    Column("profile", TEXT, nullable=True),
    Column("tags", TEXT, nullable=False),  # a JSON object, keys sorted
)

model_inputs = Table(
    "model_inputs",
    METADATA,
    id_column("run_id", primary_key=True),
    id_column("model_id", primary_key=True),
)

model_outputs = Table(
    "model_outputs",
    METADATA,
    id_column("run_id", primary_key=True),
    id_column("model_id", primary_key=True),
    Column("step", BigInteger, nullable=False),
)
