"""The whole routing table of MLflow's protocol: (method, path below the prefix) → what is read and who answers.

Stock serves every endpoint under `/api/…` for clients and `/ajax-api/…` for its pages, as version 2.0 or 3.0
(`mlflow.server.handlers.get_endpoints`).
"""

from __future__ import annotations

from typing import TypeVar

from mltrail_api.mlflow.endpoint import Endpoint, Handler
from mltrail_api.mlflow.protocol import AnyRoute, RoutingTable
from mltrail_api.mlflow.server import endpoints as server
from mltrail_api.mlflow.wire import Message

PREFIXES = ("/api/", "/ajax-api/")
M = TypeVar("M", bound=Message)


def json(model: type[M], handler: Handler[M]) -> AnyRoute:
    """Return a row of the table for an endpoint that reads and answers JSON."""
    return Endpoint(model, handler)  # type: ignore[arg-type]  # the pair fits; the table forgets which message


VERSION_2: RoutingTable = {}
"""Below `/api/2.0/mlflow` and `/ajax-api/2.0/mlflow`."""

VERSION_3: RoutingTable = {
    ("GET", "/server-info"): json(server.ServerInfo, server.server_info),
}
"""Below `/api/3.0/mlflow` and `/ajax-api/3.0/mlflow`."""

ARTIFACTS: RoutingTable = {}
"""Below `/api/2.0/mlflow-artifacts` and `/ajax-api/2.0/mlflow-artifacts`."""


def whole_table() -> RoutingTable:
    """Return every row under every prefix it is served under."""
    parts = {"2.0/mlflow": VERSION_2, "3.0/mlflow": VERSION_3, "2.0/mlflow-artifacts": ARTIFACTS}
    return {
        (method, f"{prefix}{part}{path}"): route
        for part, table in parts.items()
        for (method, path), route in table.items()
        for prefix in PREFIXES
    }
