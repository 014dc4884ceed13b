"""Metric points of one transaction: gathered run by run, written as one block a run and merged into the summaries."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from mltrail_core.ids import partition_of
from mltrail_core.metric_block import MetricBlock, concatenate
from mltrail_core.readmodel import tables
from mltrail_projector.catalogue import Catalogue
from mltrail_projector.rows import Rows
from mltrail_projector.summaries import merge, summaries_of_rows, summarize


class Points:
    """The points that a transaction adds."""

    def __init__(self, rows: Rows, catalogue: Catalogue) -> None:
        self._rows = rows
        self._catalogue = catalogue
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
            self._note_keys(run_id, block)
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

    def _note_keys(self, run_id: str, block: MetricBlock) -> None:
        """Note the keys that have points; of a run that is announced later, `run_created` does."""
        run = self._rows.get(tables.runs, run_id)
        assert run is not None, "the run's row was put, or found, when its points were added"
        has_points = np.bincount(block.key_indices, minlength=len(block.keys)) > 0
        keys = block.keys if has_points.all() else [block.keys[place] for place in np.flatnonzero(has_points)]
        self._catalogue.note(run["experiment_id"], "metric", partition_of(run_id), keys)
