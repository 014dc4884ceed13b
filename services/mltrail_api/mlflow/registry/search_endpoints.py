"""`registered-models/search` and `model-versions/search`."""

from __future__ import annotations

import dataclasses

from sqlalchemy import Connection

from mltrail_api.mlflow.endpoint import Answer, Caller, seen_answer
from mltrail_api.mlflow.pages import page_offset, page_size
from mltrail_api.mlflow.registry.queries import load_registered_models, load_versions
from mltrail_api.mlflow.registry.requests import SearchRegistry
from mltrail_api.mlflow.registry.search_queries import search_model_names, search_version_keys
from mltrail_api.mlflow.registry.view import registered_model_json, version_json
from mltrail_api.search.expression import Column, Entity, OrderTerm
from mltrail_api.search.page_token import Offset, encode_token
from mltrail_api.search.parse import (
    parse_model_version_filter,
    parse_model_version_order,
    parse_registered_model_filter,
    parse_registered_model_order,
)
from mltrail_api.services import Services
from mltrail_api.visibility import CONTROL_ONLY, SEARCH_BOUND_S, Freshness

_MODELS, _VERSIONS = "registered models", "model versions"
_DEFAULT_MODELS, _MAX_MODELS = 100, 1000
_DEFAULT_VERSIONS, _MAX_VERSIONS = 200_000, 200_000
_NEWEST_FIRST = (OrderTerm(Column(Entity.ATTRIBUTE, "last_updated_timestamp"), False),)
_SEARCH = Freshness(CONTROL_ONLY.partitions, SEARCH_BOUND_S)


async def search_models(services: Services, request: SearchRegistry, caller: Caller) -> Answer:
    """Answer a page of registered models, sorted by name unless told otherwise."""
    # Stock answers 0 with nothing, and fails or forgets its limit below.
    limit = page_size(request.max_results, _MAX_MODELS) if request.max_results else _none_or_default(request)
    offset = page_offset(_MODELS, request.page_token)
    wanted = parse_registered_model_filter(request.filter)
    order = parse_registered_model_order(request.order_by)

    def query(connection: Connection) -> dict[str, object]:
        names = search_model_names(connection, wanted, order, offset, limit + 1)
        found = load_registered_models(connection, names[:limit])
        # Stock sorts the versions by stage here, and by number where one model is asked for.
        models = [
            dataclasses.replace(model, latest=tuple(sorted(model.latest, key=lambda version: version.stage)))
            for model in found
        ]
        body = {"registered_models": [registered_model_json(model) for model in models]} if models else {}
        return body | _next_page(_MODELS, offset + limit, len(names) > limit)

    seen = await services.visibility.read(query, caller.asks_for(_SEARCH))
    return seen_answer(seen, seen.value)


async def search_versions(services: Services, request: SearchRegistry, caller: Caller) -> Answer:
    """Answer a page of model versions, those changed last first unless told otherwise."""
    limit = page_size(_DEFAULT_VERSIONS if request.max_results is None else request.max_results, _MAX_VERSIONS)
    offset = page_offset(_VERSIONS, request.page_token)
    wanted = parse_model_version_filter(request.filter)
    order = parse_model_version_order(request.order_by) or _NEWEST_FIRST

    def query(connection: Connection) -> dict[str, object]:
        keys = search_version_keys(connection, wanted, order, offset, limit + 1)
        found = load_versions(connection, keys[:limit])
        body = {"model_versions": [version_json(version, has_aliases=False) for version in found]} if found else {}
        return body | _next_page(_VERSIONS, offset + limit, len(keys) > limit)

    seen = await services.visibility.read(query, caller.asks_for(_SEARCH))
    return seen_answer(seen, seen.value)


def _none_or_default(request: SearchRegistry) -> int:
    return _DEFAULT_MODELS if request.max_results is None else 0


def _next_page(what: str, offset: int, is_there: bool) -> dict[str, object]:
    return {"next_page_token": encode_token(what, Offset(offset))} if is_there else {}
