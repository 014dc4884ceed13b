"""Metric points of one transaction: gathered run by run, written as one block a run and merged into the summaries."""

from __future__ import annotations

from collections import defaultdict

from mltrail_core.metric_block import MetricBlock, concatenate
from mltrail_core.readmodel import tables
from mltrail_projector.rows import Rows
from mltrail_projector.summaries import merge, summaries_of_rows, summarize


class Points:
    """The points that a transaction adds."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._blocks: dict[str, list[MetricBlock]] = defaultdict(list)
        self._last_index: dict[str, int] = {}

    def add(self, run_id: str, index: int, block: MetricBlock) -> None:
        """Add the points of one event at `index` of the run's partition."""
        if len(block):
            self._blocks[run_id].append(block)
            self._last_index[run_id] = index

    def flush(self) -> None:
        """Turn what was added into rows."""
        if not self._blocks:
            return
        merged = {run_id: concatenate(blocks) for run_id, blocks in self._blocks.items()}
        for run_id, block in merged.items():
            self._rows.put(
                tables.metric_blocks,
                {
                    "run_id": run_id,
                    "last_index": self._last_index[run_id],
                    "number": 0,
                    "point_count": len(block),
                    "block": block.to_bytes(),
                },
            )
        fresh = summarize(merged)
        known = summaries_of_rows(self._rows.read_set(tables.metric_summaries, fresh.keys))
        self._rows.put_set(tables.metric_summaries, merge(fresh, known).rows())
        self._blocks.clear()
        self._last_index.clear()
