"""`runs/search`; the filter is read and answered by `mltrail_api.search`."""

from __future__ import annotations

from sqlalchemy import Connection

from mltrail_api.mlflow.endpoint import Answer, Caller, seen_answer
from mltrail_api.mlflow.runs.requests import SearchRuns
from mltrail_api.mlflow.wire import json_bytes
from mltrail_api.search.runs import search_runs
from mltrail_api.services import Services
from mltrail_api.visibility import SEARCH


async def search(services: Services, request: SearchRuns, caller: Caller) -> Answer:
    """Answer a page of the runs that match, each with all that belongs to it."""

    def query(connection: Connection) -> bytes:
        page = search_runs(
            connection,
            request.experiment_ids,
            request.filter,
            request.run_view_type,
            request.max_results,
            request.order_by,
            request.page_token,
        )
        return _page_json(services.run_texts.of(connection, page.run_ids), page.next_page_token)

    seen = await services.visibility.read(query, caller.asks_for(SEARCH))
    return seen_answer(seen, seen.value)


def _page_json(runs: list[bytes], next_page_token: str | None) -> bytes:
    fields = [b'"runs":[' + b",".join(runs) + b"]"] if runs else []
    if next_page_token:
        fields.append(b'"next_page_token":' + json_bytes(next_page_token))
    return b"{" + b",".join(fields) + b"}"
