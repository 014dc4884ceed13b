"""Metric points of one transaction: gathered run by run, written as one block a run and merged into the summaries."""

from __future__ import annotations

import numpy as np

from mltrail_core.events import MetricsLogged
from mltrail_core.gathered_points import GatheredPoints
from mltrail_core.ids import partition_of
from mltrail_core.metric_block import MetricBlock
from mltrail_core.readmodel import tables
from mltrail_core.series import calls_for_compaction
from mltrail_projector.catalogue import Catalogue
from mltrail_projector.rows import Rows
from mltrail_projector.summaries import merge, summaries_of_rows, summarize


class Points:
    """The points that a transaction adds."""

    def __init__(self, rows: Rows, catalogue: Catalogue) -> None:
        self._rows = rows
        self._catalogue = catalogue
        self._runs: dict[str, GatheredPoints] = {}
        self.summaries = 0
        """How many rows of summaries the transaction writes."""

    def add(self, event: MetricsLogged, index: int) -> None:
        """Add the points of one event, which can be made a block, at `index` of the run's partition."""
        if event.values:
            gathered = self._runs.get(event.run_id)
            if gathered is None:
                gathered = self._runs[event.run_id] = GatheredPoints(event.keys)
            gathered.add(event, index)

    def flush(self) -> None:
        """Turn what was added into rows."""
        if not self._runs:
            return
        merged = {run_id: gathered.block() for run_id, gathered in self._runs.items()}
        rows = []
        for run_id, block in merged.items():
            self._note_keys(run_id, block)
            last_index = self._runs[run_id].last_index
            if calls_for_compaction(run_id, last_index, len(block)):
                self._rows.put(tables.compaction_calls, {"run_id": run_id, "last_index": last_index})
            rows.append((run_id, last_index, 0, len(block), block.to_bytes()))
        self._rows.put_set(tables.metric_blocks, rows)
        fresh = summarize(merged)
        known = summaries_of_rows(self._rows.read_set(tables.metric_summaries, fresh.keys))
        self._rows.put_set(tables.metric_summaries, merge(fresh, known).rows())
        self.summaries = len(fresh.keys)
        self._runs.clear()

    def _note_keys(self, run_id: str, block: MetricBlock) -> None:
        """Note the keys that have points; of a run that is announced later, `run_created` does."""
        run = self._rows.get(tables.runs, run_id)
        assert run is not None, "the run's row was put, or found, when its points were added"
        experiment_id, partition = run["experiment_id"], partition_of(run_id)
        if not self._catalogue.knows(experiment_id, "metric", partition, block.keys):
            with_points = [block.keys[number] for number in np.unique(block.key_indices)]
            self._catalogue.note(experiment_id, "metric", partition, with_points)
