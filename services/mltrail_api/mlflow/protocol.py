"""The ASGI application that speaks MLflow's protocol: one dict look-up, parse, handle, answer.

It stands before the framework's router, whose walk over all routes costs more than a whole `log-metric` here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from mltrail_api.identity.identity import identity_of
from mltrail_api.mlflow.endpoint import Caller, Endpoint, RawEndpoint
from mltrail_api.mlflow.errors import ErrorAnswer, answer_of, no_such_endpoint, wrong_method
from mltrail_api.mlflow.wire import (
    MAX_BODY_BYTES,
    Message,
    fields_of_body,
    fields_of_query,
    json_bytes,
    parse_message,
)
from mltrail_api.services import Services
from mltrail_core.errors import Invalid, MltrailError

AnyRoute = Endpoint[Message] | RawEndpoint
RoutingTable = Mapping[tuple[str, str], AnyRoute]

_WORKSPACE_HEADER = b"x-mlflow-workspace"
_ACTOR_HEADER = b"x-mltrail-actor"
_CONSISTENCY_HEADER = b"x-mltrail-consistency"
_JSON = (b"content-type", b"application/json")
_PLACEHOLDER = re.compile(r"\{(\w+)(:path)?\}")


class MlflowProtocol:
    """Answers every request whose path begins with one of the prefixes; `owns` says which."""

    def __init__(self, services: Services, table: RoutingTable, prefixes: tuple[str, ...]) -> None:
        self._services = services
        self._prefixes = prefixes
        self._exact: dict[str, dict[str, AnyRoute]] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], dict[str, AnyRoute]]] = {}
        for (method, path), route in table.items():
            if _PLACEHOLDER.search(path):
                self._patterns.setdefault(path, (_pattern(path), {}))[1][method] = route
            else:
                self._exact.setdefault(path, {})[method] = route

    def owns(self, path: str) -> bool:
        """Return whether a path is MLflow's, served or not."""
        return path.startswith(self._prefixes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every error of ours becomes MLflow's, whatever else is raised is the edge's."""
        try:
            routes, path_fields = self._find(scope["path"])
            route = routes.get(scope["method"])
            if route is None:
                if not routes:
                    return await _send_error(send, no_such_endpoint(scope["method"], scope["path"]))
                return await _send_error(send, wrong_method(scope["method"], scope["path"], sorted(routes)))
            caller = _caller(scope)
            if isinstance(route, RawEndpoint):
                scope["path_params"] = path_fields
                response = await route.handler(self._services, Request(scope, receive), caller)
                return await response(scope, receive, send)
            await self._answer(route, path_fields, caller, scope, receive, send)
        except MltrailError as error:
            await _send_error(send, answer_of(error))
        except ClientDisconnect:
            return

    async def _answer(
        self,
        route: Endpoint[Message],
        path_fields: Mapping[str, str],
        caller: Caller,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        if scope["method"] == "GET" and scope["query_string"]:
            fields = fields_of_query(scope["query_string"], route.model)
        else:
            fields = fields_of_body(await _body(receive))
        fields.update(path_fields)
        answer = await route.handler(self._services, parse_message(route.model, fields), caller)
        body = answer.body if isinstance(answer.body, bytes) else json_bytes(answer.body)
        await _send(send, 200, body, answer.headers)

    def _find(self, path: str) -> tuple[Mapping[str, AnyRoute], Mapping[str, str]]:
        if path in self._exact:
            return self._exact[path], {}
        for pattern, routes in self._patterns.values():
            found = pattern.fullmatch(path)
            if found:
                return routes, found.groupdict()
        return {}, {}


def _pattern(path: str) -> re.Pattern[str]:
    parts, end = [], 0
    for found in _PLACEHOLDER.finditer(path):
        parts.append(re.escape(path[end : found.start()]))
        parts.append(f"(?P<{found[1]}>{'.*' if found[2] else '[^/]+'})")
        end = found.end()
    return re.compile("".join([*parts, re.escape(path[end:])]), re.DOTALL)


def _caller(scope: Scope) -> Caller:
    claimed_name, is_eventual = None, b"consistency=eventual" in scope["query_string"]
    for name, value in scope["headers"]:
        if name == _ACTOR_HEADER:
            claimed_name = "".join(c for c in value.decode("latin-1") if c.isprintable()).strip()[:250] or None
        elif name == _CONSISTENCY_HEADER:
            is_eventual = is_eventual or value == b"eventual"
        elif name == _WORKSPACE_HEADER and value.strip() and not scope["path"].endswith("/server-info"):
            raise Invalid("this server has no workspaces; unset MLFLOW_WORKSPACE to write to the only one there is")
    return Caller(claimed_name, is_eventual, identity_of(scope))


async def _body(receive: Receive) -> bytes:
    chunks, size_bytes = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(message.get("body", b""))
        size_bytes += len(chunks[-1])
        if size_bytes > MAX_BODY_BYTES:
            raise Invalid(f"the request's body is over {MAX_BODY_BYTES:,} bytes; send it in several requests")
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _send_error(send: Send, answer: ErrorAnswer) -> None:
    await _send(send, answer.status, answer.body(), answer.headers)


async def _send(send: Send, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    raw = [_JSON, (b"content-length", b"%d" % len(body))]
    raw.extend((name.lower().encode(), value.encode("latin-1")) for name, value in headers.items())
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
