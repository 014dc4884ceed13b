"""Templates to HTML: everything is escaped unless a template says otherwise, and browsers run no script but ours."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from mltrail_api.pages.shown import shown_duration, shown_number, shown_size, shown_time

_TONES = {"FINISHED": "good", "FAILED": "bad", "KILLED": "bad", "LOST": "bad", "RUNNING": "busy", "SCHEDULED": "busy"}


def page(template: str, values: Mapping[str, object], *, status: int = 200, script: bool = False) -> HTMLResponse:
    """Return the page that `template` makes of `values`; with `script` it follows hash links of MLflow's client."""
    environment = _environment()
    text = environment.get_template(template).render(
        values, style=_source("style.css"), script=_source("links.js") if script else ""
    )
    return HTMLResponse(text, status, _headers())


def missing_page(server_version: str, message: str) -> HTMLResponse:
    """Return the page that says that something is not there."""
    return page("missing.html", {"server_version": server_version, "message": message}, status=404)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mltrail_api.pages"), autoescape=True, undefined=StrictUndefined, auto_reload=False
    )
    environment.filters |= {
        "time": shown_time,
        "took": shown_duration,
        "number": lambda value: "–" if value is None else shown_number(value),
        "size": shown_size,
        "tone": lambda status: _TONES.get(status, ""),
    }
    return environment


@cache
def _source(name: str) -> str:
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0].strip()


@cache
def _headers() -> dict[str, str]:
    digest = base64.b64encode(hashlib.sha256(_source("links.js").encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
