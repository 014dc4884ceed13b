"""Metric points at rest: chunks of one metric each, made of blocks by the compaction job, and what calls for it.

How points lie in blocks and chunks is not content: digests cover the logical series. See docs/metric-store.md.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Table

from mltrail_core.readmodel.tables.columns import METADATA, TEXT, id_column, us_column

metric_chunks = (
    Table(  # consecutive points of one metric; the chunks of a metric have no point's step and time in common
        "metric_chunks",
        METADATA,
        id_column("run_id", primary_key=True),
        Column("key", TEXT, primary_key=True),
        Column(
            "number", Integer, primary_key=True, autoincrement=False
        ),  # never given twice; says nothing of the order
        Column("point_count", Integer, nullable=False),  # distinct points, as readers count
        Column("first_step", BigInteger, nullable=False),  # of its first and last point by (step, time)
        us_column("first_us"),
        Column("last_step", BigInteger, nullable=False),
        us_column("last_us"),
        us_column("lowest_us"),  # the earliest and latest time in it
        us_column("highest_us"),
        Column(
            "pyramid", LargeBinary, nullable=False
        ),  # its extremes; before `columns`, which SQLite then never touches
        Column("columns", LargeBinary, nullable=False),  # all of it; see mltrail_core.series.chunk
    )
)

compaction_calls = Table(  # one row for one in some dozens of blocks: the run has enough of them to be compacted
    "compaction_calls",
    METADATA,
    id_column("run_id", primary_key=True),
    Column("last_index", BigInteger, primary_key=True, autoincrement=False),  # of the block that calls
)
