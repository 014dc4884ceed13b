"""The JSON of runs as MLflow's clients are told it, kept for as long as nothing about a run can have changed.

All that is told about a run is written by the folds of two partitions, its own and `control`, in the transactions that
move their positions: where both positions stand as they stood, in the same generation, the run is as it was. A page of
100 runs costs 20 ms to read and spell out, and next to nothing to find here.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from mltrail_api.mlflow.runs.view import run_json
from mltrail_api.mlflow.wire import json_bytes
from mltrail_api.search.view import load_runs
from mltrail_api.visibility import projected_positions
from mltrail_core.ids import CONTROL, partition_of

MAX_BYTES = 32 << 20
"""Of texts kept by one process: some 5,000 runs with 40 metrics and 20 params."""

_Stamp = tuple[object, int, int]
"""The generation, and where the run's partition and `control` stood."""


@dataclass(frozen=True, slots=True)
class _Kept:
    stamp: _Stamp
    text: bytes


class RunTexts:
    """Runs as JSON, those asked for last kept in memory. Safe to use from many threads."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._size_bytes = 0
        self._lock = threading.Lock()

    def of(self, connection: Connection, run_ids: Sequence[str]) -> list[bytes]:
        """Return the runs as the transaction of `connection` sees them, in that order; unknown ids are left out."""
        stamps = self._stamps(connection, run_ids)
        texts: dict[str, bytes] = {}
        with self._lock:
            for run_id in run_ids:
                kept = self._kept.get(run_id)
                if kept is not None and kept.stamp == stamps[run_id]:
                    self._kept.move_to_end(run_id)
                    texts[run_id] = kept.text
        views = load_runs(connection, [run_id for run_id in run_ids if run_id not in texts])
        fresh = {view.run_id: json_bytes(run_json(view)) for view in views}
        with self._lock:
            for run_id, text in fresh.items():
                self._keep(run_id, _Kept(stamps[run_id], text))
        texts |= fresh
        return [texts[run_id] for run_id in run_ids if run_id in texts]

    def _stamps(self, connection: Connection, run_ids: Sequence[str]) -> dict[str, _Stamp]:
        indices = projected_positions(connection).indices
        control = indices.get(CONTROL, 0)
        generation = _generation_of(connection)
        return {run_id: (generation, indices.get(partition_of(run_id), 0), control) for run_id in run_ids}

    def _keep(self, run_id: str, kept: _Kept) -> None:
        previous = self._kept.pop(run_id, None)
        if previous is not None:
            self._size_bytes -= len(previous.text)
        self._kept[run_id] = kept
        self._size_bytes += len(kept.text)
        while self._size_bytes > self._max_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._size_bytes -= len(oldest.text)


def _generation_of(connection: Connection) -> object:
    """Return what tells the generations of a read model apart: the file on SQLite, the schema on PostgreSQL."""
    schemas = connection.get_execution_options().get("schema_translate_map") or {}
    return connection.engine.url.database, schemas.get(None)
