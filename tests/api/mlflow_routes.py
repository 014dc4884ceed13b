"""The routes that the installed MLflow's server declares, asked for in a process of its own: importing it takes long
and warns."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from dataclasses import dataclass

from tests import preloaded

_PREFIX = re.compile(r"^/(ajax-api|api)/")
_PARAMETER = re.compile(r"<(?:\w+:)?\w+>|\{\w+(?::\w+)?\}")
_PAGES = ("/", "/static-files/{}", "/build/{}")
"""Stock's web pages; ours has its own."""


@dataclass(frozen=True, slots=True, order=True)
class StockRoute:
    """An endpoint of MLflow's server. `path` follows the prefixes (`api`, `ajax-api`), or begins with a slash without
    one; its parameters are `{}`."""

    path: str
    method: str
    prefixes: tuple[str, ...]

    def full_paths(self, parameter: str) -> list[str]:
        """Return the path under each prefix, its parameters replaced."""
        path = self.path.replace("{}", parameter)
        return [f"/{prefix}/{path}" for prefix in self.prefixes] or [path]


def same_form(path: str) -> str:
    """Return a path with every parameter as `{}`."""
    return _PARAMETER.sub("{}", path)


def stock_routes() -> list[StockRoute]:
    """Return every endpoint of the installed MLflow's server, sorted by path."""
    done = preloaded.run(
        preloaded.MLFLOW,
        ["tests.api.mlflow_routes"],
        folder=preloaded.ROOT,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        timeout_s=240,
    )
    assert done.returncode == 0, done.stderr
    prefixes_of = defaultdict[tuple[str, str], set[str]](set)
    for method, declared in json.loads(done.stdout[done.stdout.index("[") :]):
        path = same_form(declared)
        if method in ("HEAD", "OPTIONS") or path in _PAGES:
            continue
        found = _PREFIX.match(path)
        prefixes_of[method, path[found.end() :] if found else path] |= {found[1]} if found else set()
    return sorted(StockRoute(path, method, tuple(sorted(prefixes))) for (method, path), prefixes in prefixes_of.items())


def _print_routes() -> None:
    """Print method and path of every route, as JSON."""
    from mlflow.server import app
    from mlflow.server.fastapi_app import create_fastapi_app

    native = create_fastapi_app(app).openapi()["paths"]
    rows = [(method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods or ()]
    rows += [(method.upper(), path) for path, methods in native.items() for method in methods]
    print(json.dumps(rows))


if __name__ == "__main__":
    _print_routes()
