"""Artifacts of runs: listing, also of what was uploaded through the proxy."""

from __future__ import annotations

from tests.compat.script import Call, Group, call, case, get, post

_UNKNOWN = "0" * 32


def _put(path: str) -> Call:
    return call("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{{exp}}/{{run}}/artifacts/{path}", {"a": 1})


def _mpu(step: str, body: object, path: str = "{exp}/{run}/artifacts") -> Call:
    return post(f"/api/2.0/mlflow-artifacts/mpu/{step}/{path}", body)


def _presigned(kind: str, **body: object) -> Call:
    return post(f"/artifacts/presigned-{kind}-url", body)


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
        case("begin a multipart upload to a folder", _mpu("create", {"path": "f", "num_parts": 2})),
        case("begin a multipart upload without a path", _mpu("create", {"num_parts": 2})),
        case("begin a multipart upload above the root", _mpu("create", {"path": "f"}, "a/%2e%2e/b")),
        case("complete a multipart upload to a folder",
             _mpu("complete", {"path": "f", "upload_id": "u", "parts": [{"part_number": 1, "etag": "e"}]})),
        case("complete a multipart upload without parts", _mpu("complete", {"path": "f", "upload_id": "u"})),
        case("abort a multipart upload to a folder", _mpu("abort", {"path": "f", "upload_id": "u"})),
        case("abort a multipart upload without a path", _mpu("abort", {"upload_id": "u"})),
        case("ask for a URL of a proxied file",
             get("/api/2.0/mlflow-artifacts/presigned/{exp}/{run}/artifacts/a.json")),
        case("ask for a URL of a proxied file above the root", get("/api/2.0/mlflow-artifacts/presigned/a/%2e%2e/b")),
        case("ask for a URL to upload to a folder", _presigned("upload", run_id="{run}", path="f")),
        case("ask for a URL to upload for nobody", _presigned("upload", path="f")),
        case("ask for a URL to upload for two", _presigned("upload", run_id="{run}", model_id="m-1", path="f")),
        case("ask for a URL to upload nothing", _presigned("upload", run_id="{run}")),
        case("ask for a URL to upload for an unknown run", _presigned("upload", run_id=_UNKNOWN, path="f")),
        case("ask for a URL to upload for an unknown model", _presigned("upload", model_id="m-none", path="f")),
        case("ask for a URL to upload above the run", _presigned("upload", run_id="{run}", path="../f")),
        case("ask for a URL to download from a folder", _presigned("download", run_id="{run}", path="a.json")),
        case("ask for a URL to download from an unknown run", _presigned("download", run_id=_UNKNOWN, path="f")),
        case("ask for a URL to download of no run", _presigned("download", path="f")),
        case("ask for a URL to download that ends at once",
             _presigned("download", run_id="{run}", path="a.json", expiration=0)),
        case("ask for a URL to download that lasts too long",
             _presigned("download", run_id="{run}", path="a.json", expiration=604_801)),
        case("overwrite", _put("again"), _put("again"), _list(path="again")),
        case("delete", _put("gone/x"), call(
            "DELETE", "/api/2.0/mlflow-artifacts/artifacts/{exp}/{run}/artifacts/gone/x"), _list(path="gone")),
    ),
)  # fmt: skip
