"""The ASGI application of one API worker: MLflow's protocol, `/api/v1`, pages, /health and /version."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware import Middleware
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import Lifespan, Receive, Scope, Send

from mltrail_api.attendance import Attendance
from mltrail_api.edge import Edge
from mltrail_api.express import Express
from mltrail_api.identity.gate import Gate
from mltrail_api.identity.hosts import Hosts
from mltrail_api.mlflow.errors import ErrorAnswer, answer_of, no_such_endpoint
from mltrail_api.mlflow.openapi import with_protocol
from mltrail_api.mlflow.protocol import MlflowProtocol
from mltrail_api.mlflow.routes import PAGE_LINKS, whole_table
from mltrail_api.services import Services
from mltrail_api.v1 import routes as v1
from mltrail_api.v1.records import Intake
from mltrail_core.errors import MltrailError


class Application(FastAPI):
    """FastAPI for what is ours; MLflow's paths and trainers' records pass it by: its layers cost more than they do."""

    def __init__(self, services: Services, gate: Gate, lifespan: Lifespan[FastAPI]) -> None:
        super().__init__(
            title="mltrail",
            version=services.version,
            openapi_url="/api/v1/openapi.json",
            docs_url=None,
            redoc_url=None,
            lifespan=lifespan,
            middleware=[Middleware(Edge, gate=gate)],
        )
        prefixes = ("/api/2.0/", "/api/3.0/", "/ajax-api/", *(path for _, path in PAGE_LINKS))
        self._protocol = MlflowProtocol(services, whole_table(), prefixes)
        self._before_mlflow = Edge(self._protocol, gate)
        self._intake = Intake(services)
        self._before_intake = Edge(self._intake, gate)
        self.express = Express(services, gate)
        """For the server's HTTP protocol: what it takes need not come through here."""

    def openapi(self) -> dict[str, Any]:
        """Return the document of all that is served: FastAPI's of ours, and MLflow's protocol beside it."""
        return with_protocol(super().openapi(), whole_table())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the server's life."""
        if scope["type"] == "http" and self._protocol.owns(scope["path"]):
            await self._before_mlflow(scope, receive, send)
        elif scope["type"] == "http" and self._intake.owns(scope["method"], scope["path"]):
            await self._before_intake(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(
    services: Services, *, pages: APIRouter | None = None, requires_token: bool = False, hosts: Hosts | None = None
) -> Application:
    """Return the application on `services`, which it closes when it stops.

    Args:
        services: what the endpoints work on.
        pages: what is served to browsers, at `/`.
        requires_token: whether everything but /health and /version is for callers with an API token only.
        hosts: the names under which callers without a token are answered; by default those of this machine.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        attendance = Attendance(services.liveness)
        attendance.start()
        yield
        attendance.close()
        services.close()

    app = Application(services, Gate(services.tokens, requires_token=requires_token, hosts=hosts), lifespan)
    app.state.services = services
    app.add_exception_handler(MltrailError, _our_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)

    @app.get("/health", include_in_schema=False)
    async def health() -> PlainTextResponse:
        return PlainTextResponse("OK")

    @app.get("/version", include_in_schema=False)
    async def version() -> PlainTextResponse:
        return PlainTextResponse(services.version)

    app.include_router(v1.router)
    if pages is not None:
        app.include_router(pages)
    return app


async def _our_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, MltrailError)
    return _response(answer_of(error))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _response(no_such_endpoint(request.method, request.url.path))
    return _response(ErrorAnswer(error.status_code, "BAD_REQUEST", str(error.detail), error.headers or {}))


async def _invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return _response(ErrorAnswer(400, "INVALID_PARAMETER_VALUE", f"{where}: {first['msg']}"))


def _response(answer: ErrorAnswer) -> Response:
    return Response(answer.body(), answer.status, answer.headers, "application/json")
