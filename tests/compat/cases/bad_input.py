"""What no client sends: bodies that are no JSON, wrong types, wrong methods, unknown paths."""

from __future__ import annotations

from tests.compat.script import Group, call, case, get, post, raw
from tests.compat.supersets import DATABASE_ERROR, HALF_PARSED

_BODIES = (
    ("not JSON", b"{"), ("a list", b"[]"), ("a number", b"7"), ("null", b"null"), ("nothing", b""),
    ("not UTF-8", b"\xff\xfe"), ("an empty object", b"{}"), ("a text", b'"x"'),
)  # fmt: skip
_PATHS = (
    "/experiments/create", "/runs/create", "/runs/log-batch", "/runs/search", "/logged-models",
    "/logged-models/search",
)  # fmt: skip


def _superset(path: str, name: str) -> str:
    if name in ("a number", "a text"):
        return ""
    if path == "/runs/create":
        return DATABASE_ERROR
    if path == "/runs/search" and name not in ("nothing", "an empty object"):
        return HALF_PARSED
    return ""


GROUP = Group(
    "bad input",
    (),
    (
        *(case(f"{name} to {path}", raw(path, body), superset=_superset(path, name)) for path in _PATHS
          for name, body in _BODIES),
        case("unknown fields", post("/experiments/create", {"name": "u {unique}", "nobody": 1}, own="experiment_id")),
        case("camelCase", post("/experiments/create", {"name": "c {unique}", "artifactLocation": "s3://b/x"},
                               own="experiment_id"), get("/experiments/get", {"experimentId": "{own}"}),
             superset="camelCase is read in queries as in bodies"),
        case("null fields", post("/experiments/create", {"name": "n {unique}", "tags": None}, own="experiment_id"),
             get("/experiments/get", {"experiment_id": "{own}"})),
        case("a list where a text belongs", post("/runs/create", {"experiment_id": ["0"]})),
        case("an object where a text belongs", post("/runs/create", {"experiment_id": {"a": 1}})),
        case("a text where a list of objects belongs", post("/runs/log-batch", {"run_id": "x", "metrics": ["a"]})),
        case("the wrong method", call("PUT", "/experiments/create", {"name": "x"}),
             superset="405 in JSON; stock answers it in HTML"),
        case("an unknown path", get("/nobody/knows"), superset="ENDPOINT_NOT_FOUND in JSON; stock answers it in HTML"),
        case("GET with a body", call("GET", "/experiments/get", {"experiment_id": "0"})),
    ),
)  # fmt: skip
