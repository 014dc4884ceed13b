"""`runs/search`; the filter is read and answered by `mltrail_api.search`."""

from __future__ import annotations

from sqlalchemy import Connection

from mltrail_api.mlflow.endpoint import Answer, Caller, seen_answer
from mltrail_api.mlflow.runs.requests import SearchRuns
from mltrail_api.search.runs import search_runs
from mltrail_api.services import Services
from mltrail_api.visibility import SEARCH


async def search(services: Services, request: SearchRuns, caller: Caller) -> Answer:
    """Answer a page of the runs that match, each with all that belongs to it."""
    asked = (
        request.experiment_ids,
        request.filter,
        request.run_view_type,
        request.max_results,
        request.order_by,
        request.page_token,
    )

    def query(connection: Connection) -> bytes:
        return services.run_texts.page(connection, asked, lambda: search_runs(connection, *asked))

    seen = await services.visibility.read(query, caller.asks_for(SEARCH))
    return seen_answer(seen, seen.value)
