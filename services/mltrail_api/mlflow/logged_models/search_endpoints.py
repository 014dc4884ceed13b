"""`logged-models/search`, as far as MLflow's client needs it to find the models of a run."""

from __future__ import annotations

from sqlalchemy import Connection

from mltrail_api.mlflow.endpoint import Answer, Caller, seen_answer
from mltrail_api.mlflow.equalities import parse_equalities
from mltrail_api.mlflow.logged_models.queries import ORDER_FIELDS, load_models, search_model_ids
from mltrail_api.mlflow.logged_models.requests import SearchLoggedModels
from mltrail_api.mlflow.logged_models.view import model_json
from mltrail_api.mlflow.pages import page_offset, page_size
from mltrail_api.search.page_token import Offset, encode_token
from mltrail_api.services import Services
from mltrail_api.visibility import SEARCH
from mltrail_core.errors import Invalid

_WHAT = "logged models"
_DEFAULT_RESULTS, _MAX_RESULTS = 100, 1000
_FILTER_COLUMNS = ("name", "model_id", "source_run_id", "model_type", "status")


async def search(services: Services, request: SearchLoggedModels, caller: Caller) -> Answer:
    """Answer the logged models of some experiments, a page at a time; filters are equalities so far."""
    if not request.experiment_ids:
        raise Invalid("Missing value for required parameter 'experiment_ids'. Name at least one experiment.")
    if request.datasets:
        raise Invalid("Logged models can't be searched by 'datasets' yet; leave it out")
    limit = page_size(request.max_results or _DEFAULT_RESULTS, _MAX_RESULTS)
    offset = page_offset(_WHAT, request.page_token)
    equalities = parse_equalities(request.filter, _FILTER_COLUMNS)
    for order in request.order_by:
        if order.field_name not in ORDER_FIELDS:
            raise Invalid(
                f"Invalid order by field name: {order.field_name[:300]!r}. Expected one of {', '.join(ORDER_FIELDS)}; "
                "metrics can't be sorted by yet"
            )
    order_by = [(order.field_name, order.ascending) for order in request.order_by]

    def query(connection: Connection) -> dict[str, object]:
        found = search_model_ids(connection, request.experiment_ids, equalities, order_by, offset, limit + 1)
        body: dict[str, object] = {"models": [model_json(one) for one in load_models(connection, found[:limit])]}
        if len(found) > limit:
            body["next_page_token"] = encode_token(_WHAT, Offset(offset + limit))
        return body

    seen = await services.visibility.read(query, caller.asks_for(SEARCH))
    return seen_answer(seen, seen.value)
