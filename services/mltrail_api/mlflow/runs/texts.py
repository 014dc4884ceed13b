"""The JSON of runs as MLflow's clients are told it, kept for as long as nothing about a run can have changed.

All that is told about a run is written by the folds of two partitions, its own and `control`, in the transactions that
move their positions: where both positions stand as they stood, in the same generation, the run is as it was. Which runs
a search finds is written by the folds of all partitions: where all positions stand as they stood, so does the page.
A page of 100 runs costs some milliseconds to find and 20 ms to read and spell out, and next to nothing to find here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from sqlalchemy import Connection

from mltrail_api.mlflow.runs.kept import KeptTexts
from mltrail_api.mlflow.runs.view import run_json
from mltrail_api.mlflow.wire import json_bytes
from mltrail_api.search.runs import RunPage
from mltrail_api.search.view import load_runs
from mltrail_api.visibility import projected_positions
from mltrail_core.ids import CONTROL, partition_of
from mltrail_core.log import Positions

MAX_BYTES = 32 << 20
"""Of runs kept by one process: some 5,000 with 40 metrics and 20 params."""
MAX_PAGE_BYTES = 16 << 20
"""Of whole pages kept by one process: some 40 of 100 such runs."""


class RunTexts:
    """Runs as JSON, those asked for last kept in memory, and so whole pages. Safe to use from many threads."""

    def __init__(self, max_bytes: int = MAX_BYTES, max_page_bytes: int = MAX_PAGE_BYTES) -> None:
        self._runs: KeptTexts[str] = KeptTexts(max_bytes)
        self._pages: KeptTexts[Hashable] = KeptTexts(max_page_bytes)

    def of(self, connection: Connection, run_ids: Sequence[str]) -> list[bytes]:
        """Return the runs as the transaction of `connection` sees them, in that order; unknown ids are left out."""
        return self._at(connection, projected_positions(connection).indices, run_ids)

    def page(self, connection: Connection, asked: Hashable, search: Callable[[], RunPage]) -> bytes:
        """Return the answer of a search as the transaction of `connection` sees it.

        Args:
            connection: on the read model.
            asked: what the search asks for; equal ones find the same on the same rows.
            search: finds the page, on `connection`; not called where the answer is kept.
        """
        indices = projected_positions(connection).indices
        stamps = {asked: (_generation_of(connection), indices)}
        kept = self._pages.get(stamps)
        if asked in kept:
            return kept[asked]
        found = search()
        text = _page_json(self._at(connection, indices, found.run_ids), found.next_page_token)
        self._pages.keep(stamps, {asked: text})
        return text

    def _at(self, connection: Connection, indices: Positions, run_ids: Sequence[str]) -> list[bytes]:
        control, generation = indices.get(CONTROL, 0), _generation_of(connection)
        stamps = {run_id: (generation, indices.get(partition_of(run_id), 0), control) for run_id in run_ids}
        texts = self._runs.get(stamps)
        views = load_runs(connection, [run_id for run_id in run_ids if run_id not in texts])
        fresh = {view.run_id: json_bytes(run_json(view)) for view in views}
        self._runs.keep(stamps, fresh)
        texts |= fresh
        return [texts[run_id] for run_id in run_ids if run_id in texts]


def _page_json(runs: list[bytes], next_page_token: str | None) -> bytes:
    fields = [b'"runs":[' + b",".join(runs) + b"]"] if runs else []
    if next_page_token:
        fields.append(b'"next_page_token":' + json_bytes(next_page_token))
    return b"{" + b",".join(fields) + b"}"


def _generation_of(connection: Connection) -> object:
    """Return what tells the generations of a read model apart: the file on SQLite, the schema on PostgreSQL."""
    schemas = connection.get_execution_options().get("schema_translate_map") or {}
    return connection.engine.url.database, schemas.get(None)
