"""The routes that the installed MLflow's server declares, asked for in a process of its own: importing it takes long
and warns."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass

_ASK = """
import json, sys
from mlflow.server import app
from mlflow.server.fastapi_app import create_fastapi_app
native = create_fastapi_app(app).openapi()["paths"]
rows = [(method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods]
rows += [(method.upper(), path) for path, methods in native.items() for method in methods]
json.dump(rows, sys.stdout)
"""
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
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _ASK],
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
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
