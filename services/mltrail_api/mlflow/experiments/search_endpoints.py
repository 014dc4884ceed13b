"""`experiments/search`; the filter is read and answered by `mltrail_api.search`."""

from __future__ import annotations

from sqlalchemy import Connection

from mltrail_api.mlflow.endpoint import Answer, Caller, seen_answer
from mltrail_api.mlflow.experiments.queries import experiment_json
from mltrail_api.mlflow.experiments.requests import SearchExperiments
from mltrail_api.search.experiment_view import load_experiments
from mltrail_api.search.experiments import search_experiments
from mltrail_api.services import Services
from mltrail_api.visibility import SEARCH


async def search(services: Services, request: SearchExperiments, caller: Caller) -> Answer:
    """Answer a page of the experiments that match."""

    def query(connection: Connection) -> dict[str, object]:
        page = search_experiments(
            connection,
            request.filter,
            request.view_type,
            request.max_results,
            request.order_by,
            request.page_token,
        )
        experiments = [experiment_json(found) for found in load_experiments(connection, page.experiment_ids)]
        body: dict[str, object] = {"experiments": experiments} if experiments else {}
        return body | ({"next_page_token": page.next_page_token} if page.next_page_token else {})

    seen = await services.visibility.read(query, caller.asks_for(SEARCH))
    return seen_answer(seen, seen.value)
