"""Artifacts of runs: listing, also of what was uploaded through the proxy."""

from __future__ import annotations

from tests.compat.script import Call, Group, call, case, get, post

_UNKNOWN = "0" * 32


def _put(path: str) -> Call:
    return call("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{{exp}}/{{run}}/artifacts/{path}", {"a": 1})


def _list(**query: object) -> Call:
    return get("/artifacts/list", {"run_id": "{run}", **query})


GROUP = Group(
    "artifacts",
    (
        post("/experiments/create", {"name": "artifacts {unique}"}, exp="experiment_id"),
        post("/runs/create", {"experiment_id": "{exp}", "run_name": "r", "start_time": 5}, run="run.info.run_id"),
        post("/runs/create", {"experiment_id": "{exp}", "run_name": "e", "start_time": 5}, bare="run.info.run_id"),
        _put("a.json"),
        _put("b/c.json"),
        _put("b/d/e.json"),
    ),
    (
        case("list", _list()),
        case("list a folder", _list(path="b")),
        case("list a folder in a folder", _list(path="b/d")),
        case("list a file", _list(path="a.json")),
        case("list what is not there", _list(path="none")),
        case("list an empty run", get("/artifacts/list", {"run_id": "{bare}"})),
        case("list an unknown run", get("/artifacts/list", {"run_id": _UNKNOWN})),
        case("list no run", get("/artifacts/list")),
        case("list above the run", _list(path="../x")),
        case("list from the root", _list(path="/etc")),
        case("list through the proxy", get("/api/2.0/mlflow-artifacts/artifacts", {"path": "{exp}/{run}/artifacts"})),
        case("list a folder through the proxy",
             get("/api/2.0/mlflow-artifacts/artifacts", {"path": "{exp}/{run}/artifacts/b"})),
        case("read a file", get("/api/2.0/mlflow-artifacts/artifacts/{exp}/{run}/artifacts/a.json")),
        case("read a file as pages do", get("/get-artifact", {"run_id": "{run}", "path": "b/c.json"})),
        case("read what is not there", get("/get-artifact", {"run_id": "{run}", "path": "none"})),
        case("read of an unknown run", get("/get-artifact", {"run_id": _UNKNOWN, "path": "a.json"})),
        case("overwrite", _put("again"), _put("again"), _list(path="again")),
        case("delete", _put("gone/x"), call(
            "DELETE", "/api/2.0/mlflow-artifacts/artifacts/{exp}/{run}/artifacts/gone/x"), _list(path="gone")),
    ),
)  # fmt: skip
