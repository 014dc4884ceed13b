"""`experiments/search` and `experiments/search-datasets`; the filter is read and answered by `mltrail_api.search`."""

from __future__ import annotations

from sqlalchemy import Connection

from mltrail_api.mlflow.endpoint import Answer, Caller, seen_answer
from mltrail_api.mlflow.experiments.queries import experiment_json
from mltrail_api.mlflow.experiments.requests import SearchDatasets, SearchExperiments
from mltrail_api.search.datasets import dataset_summaries
from mltrail_api.search.experiment_view import load_experiments
from mltrail_api.search.experiments import search_experiments
from mltrail_api.services import Services
from mltrail_api.visibility import SEARCH
from mltrail_core.errors import Invalid

MAX_EXPERIMENTS = 20
"""Of one search for datasets, as in stock."""


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


async def search_datasets(services: Services, request: SearchDatasets, caller: Caller) -> Answer:
    """Answer which datasets the runs of some experiments read; stock serves it to its pages only."""
    if not request.experiment_ids:
        raise Invalid("SearchDatasets request must specify at least one experiment_id.")
    if len(request.experiment_ids) > MAX_EXPERIMENTS:
        raise Invalid(
            f"SearchDatasets request cannot specify more than {MAX_EXPERIMENTS} experiment_ids. "
            f"Received {len(request.experiment_ids)} experiment_ids."
        )

    def query(connection: Connection) -> list[dict[str, object]]:
        return [
            {
                "experiment_id": one.experiment_id,
                "name": one.name,
                "digest": one.digest,
                **({} if one.context is None else {"context": one.context}),
            }
            for one in dataset_summaries(connection, request.experiment_ids)
        ]

    seen = await services.visibility.read(query, caller.asks_for(SEARCH))
    return seen_answer(seen, {"dataset_summaries": seen.value} if seen.value else {})
