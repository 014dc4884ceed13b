"""MLflow's protocol in OpenAPI: one operation for each row of the routing table, from the requests that it reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from mltrail_api.mlflow.endpoint import Endpoint, RawEndpoint
from mltrail_api.mlflow.protocol import RoutingTable

Json = dict[str, Any]

_PLACEHOLDER = re.compile(r"\{(\w+)(?::path)?\}")
_ERROR = "MlflowError"
_SCHEMA_OF_ERROR: Json = {
    "type": "object",
    "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
    "required": ["error_code", "message"],
}
_ERRORS: Mapping[str, str] = {
    "400": "The request must change: it is malformed, or what it names is taken.",
    "401": "An API token is needed, or the one shown is not valid.",
    "404": "What is named is not there.",
    "429": "The log is full; nothing was done. See `Retry-After`.",
    "503": "Try again. See `Retry-After`.",
}
_BYTES: Json = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


def with_protocol(document: Mapping[str, Any], table: RoutingTable) -> Json:
    """Return an OpenAPI document with the operations of a routing table added to its own.

    Only `/api/…` and what stands at the root is listed: `/ajax-api/…` has the same for MLflow's pages.
    """
    rows = {
        (method, path): route
        for (method, path), route in table.items()
        if method != "HEAD" and not path.startswith("/ajax-api/")
    }
    models = {route.model for route in rows.values() if isinstance(route, Endpoint)}
    names, definitions = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda model: (model.__module__, model.__name__))],
        by_alias=False,
        ref_template="#/components/schemas/{model}",
    )
    schemas = {**definitions.get("$defs", {}), _ERROR: _SCHEMA_OF_ERROR}
    paths: dict[str, Json] = {path: dict(item) for path, item in document.get("paths", {}).items()}
    for (method, path), route in rows.items():
        in_path = _PLACEHOLDER.findall(path)
        said: Json = {"operationId": _operation_id(method, path), "tags": [_tag(path)]}
        parameters = [_in_path(name) for name in in_path]
        if isinstance(route, RawEndpoint):
            answer = _BYTES
            if method == "PUT":
                said["requestBody"] = {"content": _BYTES}
        else:
            answer = {"application/json": {"schema": {"type": "object"}}}
            schema = schemas[names[route.model, "validation"]["$ref"].rpartition("/")[2]]
            if method == "GET":
                parameters += [_in_query(name, schema) for name in schema.get("properties", {}) if name not in in_path]
            else:
                body = _without(schema, in_path)
                is_required = bool(body.get("required"))
                said["requestBody"] = {"required": is_required, "content": {"application/json": {"schema": body}}}
        if parameters:
            said["parameters"] = parameters
        said["responses"] = {"200": {"description": "Done.", "content": answer}, **_error_answers()}
        paths.setdefault(_PLACEHOLDER.sub(r"{\1}", path), {})[method.lower()] = said
    components = document.get("components", {})
    return {
        **document,
        "paths": paths,
        "components": {**components, "schemas": {**components.get("schemas", {}), **schemas}},
    }


def _in_path(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _in_query(name: str, schema: Json) -> Json:
    return {
        "name": name,
        "in": "query",
        "required": name in schema.get("required", ()),
        "schema": schema["properties"][name],
    }


def _without(schema: Json, names: list[str]) -> Json:
    """Return the schema of a body whose fields of these names may stand in the path alone."""
    return {**schema, "required": [name for name in schema.get("required", ()) if name not in names]}


def _error_answers() -> Json:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{_ERROR}"}}}
    return {status: {"description": said, "content": content} for status, said in _ERRORS.items()}


def _operation_id(method: str, path: str) -> str:
    return "_".join([method.lower(), *re.findall(r"\w+", path.removeprefix("/api/"))])


def _tag(path: str) -> str:
    return "mlflow-artifacts" if "mlflow-artifacts" in path or "get-artifact" in path else "mlflow"
