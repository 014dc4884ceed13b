"""`logged-models/search`; the filter is read and answered by `mltrail_api.search`."""

from __future__ import annotations

from sqlalchemy import Connection

from mltrail_api.mlflow.endpoint import Answer, Caller, seen_answer
from mltrail_api.mlflow.logged_models.queries import load_models
from mltrail_api.mlflow.logged_models.requests import SearchLoggedModels
from mltrail_api.mlflow.logged_models.view import model_json
from mltrail_api.search.logged_models import DEFAULT_RESULTS, Dataset, ModelOrder, search_models
from mltrail_api.services import Services
from mltrail_api.visibility import SEARCH
from mltrail_core.errors import Invalid


async def search(services: Services, request: SearchLoggedModels, caller: Caller) -> Answer:
    """Answer a page of the logged models that match, each with all that belongs to it."""
    if not all(one.dataset_name for one in request.datasets):
        raise Invalid("`dataset_name` in the `datasets` clause must be specified.")
    datasets = [Dataset(one.dataset_name, one.dataset_digest) for one in request.datasets]
    order_by = [
        ModelOrder(one.field_name, one.ascending, Dataset(one.dataset_name, one.dataset_digest))
        for one in request.order_by
    ]

    def query(connection: Connection) -> dict[str, object]:
        page = search_models(
            connection,
            request.experiment_ids,
            request.filter,
            datasets,
            request.max_results or DEFAULT_RESULTS,
            order_by,
            request.page_token,
        )
        models = [model_json(model) for model in load_models(connection, page.model_ids)]
        body: dict[str, object] = {"models": models} if models else {}
        return body | ({"next_page_token": page.next_page_token} if page.next_page_token else {})

    seen = await services.visibility.read(query, caller.asks_for(SEARCH))
    return seen_answer(seen, seen.value)
