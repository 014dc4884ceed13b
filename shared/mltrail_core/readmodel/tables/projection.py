"""Where the projector stands, what it received, and what it rejected."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table

from mltrail_core.readmodel.tables.columns import METADATA, TEXT, id_column, us_column

generation = Table(  # one row: which tables the generation was made with; other code must rebuild before it reads
    "generation",
    METADATA,
    id_column("schema_hash", primary_key=True),
)

positions = Table(
    "positions",
    METADATA,
    id_column("partition", primary_key=True),
    Column("index", BigInteger, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=True),  # of the record at `index`: a log that lost its tail is noticed
    us_column("appended_us"),
    Column("halted", TEXT, nullable=True),  # why this partition is not projected any further; not part of digests
)

producers = Table(
    "producers",
    METADATA,
    id_column("producer", primary_key=True),
    id_column("partition", primary_key=True),
    Column("intervals", TEXT, nullable=False),  # sequences received, as "1-41,43"; kept for ever
    Column("last_sequence", BigInteger, nullable=True),  # what `producer_closed` declared; NULL: end unknown
    id_column("run_id", nullable=True),
    Column("host", TEXT, nullable=True),
    Column("process_id", BigInteger, nullable=True),
    Column("rank", BigInteger, nullable=True),
    us_column("opened_us", nullable=True),
    us_column("last_appended_us"),
    Index("producers_by_run", "run_id"),
)

producer_records = Table(  # the identities of received records, in runs of consecutive sequences
    "producer_records",
    METADATA,
    id_column("producer", primary_key=True),
    id_column("partition", primary_key=True),
    Column("first_sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("identities", LargeBinary, nullable=False),  # the first 8 bytes of each record's identity hash
)

rejections = Table(
    "rejections",
    METADATA,
    id_column("partition", primary_key=True),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column(
        "number", Integer, primary_key=True, autoincrement=False
    ),  # of the event in its record; -1: the whole record
    id_column("subject", nullable=True),  # run id, experiment id, model id or registered model's name
    id_column("wire_name", nullable=True),
    id_column("reason"),  # a word of `mltrail_core.rules.Reason`
    Column("message", TEXT, nullable=False),
    id_column("producer", nullable=True),
    Column("sequence", BigInteger, nullable=True),
    us_column("appended_us"),
    Index("rejections_by_subject", "subject"),
)

changes = Table(  # which records changed a subject (metrics alone are left out); the log holds what they said
    "changes",
    METADATA,
    id_column("subject", primary_key=True),
    id_column("partition", primary_key=True),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
)
