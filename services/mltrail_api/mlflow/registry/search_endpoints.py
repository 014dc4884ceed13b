"""`registered-models/search` and `model-versions/search`; filters are equalities so far."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from sqlalchemy import Connection

from mltrail_api.mlflow.endpoint import Answer, Caller, seen_answer
from mltrail_api.mlflow.equalities import parse_equalities
from mltrail_api.mlflow.pages import page_offset, page_size
from mltrail_api.mlflow.registry.queries import (
    MODEL_ORDER,
    VERSION_ORDER,
    Order,
    load_registered_models,
    load_versions,
    search_model_names,
    search_version_keys,
)
from mltrail_api.mlflow.registry.requests import SearchRegistry
from mltrail_api.mlflow.registry.view import registered_model_json, version_json
from mltrail_api.search.page_token import Offset, encode_token
from mltrail_api.services import Services
from mltrail_api.visibility import CONTROL_ONLY, SEARCH_BOUND_S, Freshness
from mltrail_core.errors import Invalid

_MODELS, _VERSIONS = "registered models", "model versions"
_DEFAULT_MODELS, _MAX_MODELS = 100, 1000
_DEFAULT_VERSIONS, _MAX_VERSIONS = 10_000, 200_000
_NEWEST_FIRST: Order = (("last_updated_timestamp", False),)
_SEARCH = Freshness(CONTROL_ONLY.partitions, SEARCH_BOUND_S)
_ORDER = re.compile(r"\s*(?:attributes?\.)?(`?)(\w+)\1(?:\s+(ASC|DESC))?\s*", re.IGNORECASE)


async def search_models(services: Services, request: SearchRegistry, caller: Caller) -> Answer:
    """Answer a page of registered models, sorted by name unless told otherwise."""
    limit = page_size(_DEFAULT_MODELS if request.max_results is None else request.max_results, _MAX_MODELS)
    offset = page_offset(_MODELS, request.page_token)
    equalities = parse_equalities(request.filter, ("name",))
    order = _order(request.order_by, MODEL_ORDER)

    def query(connection: Connection) -> dict[str, object]:
        names = search_model_names(connection, equalities, order, offset, limit + 1)
        found = load_registered_models(connection, names[:limit])
        body: dict[str, object] = {"registered_models": [registered_model_json(model) for model in found]}
        return body | _next_page(_MODELS, offset + limit, len(names) > limit)

    seen = await services.visibility.read(query, caller.asks_for(_SEARCH))
    return seen_answer(seen, seen.value)


async def search_versions(services: Services, request: SearchRegistry, caller: Caller) -> Answer:
    """Answer a page of model versions, those changed last first unless told otherwise."""
    limit = page_size(_DEFAULT_VERSIONS if request.max_results is None else request.max_results, _MAX_VERSIONS)
    offset = page_offset(_VERSIONS, request.page_token)
    equalities = parse_equalities(request.filter, ("name", "run_id"))
    order = _order(request.order_by, VERSION_ORDER) or _NEWEST_FIRST

    def query(connection: Connection) -> dict[str, object]:
        keys = search_version_keys(connection, equalities, order, offset, limit + 1)
        found = load_versions(connection, keys[:limit])
        body: dict[str, object] = {"model_versions": [version_json(version) for version in found]}
        return body | _next_page(_VERSIONS, offset + limit, len(keys) > limit)

    seen = await services.visibility.read(query, caller.asks_for(_SEARCH))
    return seen_answer(seen, seen.value)


def _next_page(what: str, offset: int, is_there: bool) -> dict[str, object]:
    return {"next_page_token": encode_token(what, Offset(offset))} if is_there else {}


def _order(clauses: Sequence[str], keys: Collection[str]) -> Order:
    order: dict[str, bool] = {}
    for clause in clauses:
        found = _ORDER.fullmatch(clause)
        if found is None or found[2] not in keys or found[2] in order:
            raise Invalid(f"Invalid order_by clause {clause[:300]!r}; expected one of {', '.join(keys)}, each once, "
                          "then ASC or DESC if wanted")  # fmt: skip
        order[found[2]] = (found[3] or "ASC").upper() == "ASC"
    return tuple(order.items())
