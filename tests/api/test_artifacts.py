"""Artifacts over HTTP: what is uploaded is listed, downloaded whole or in ranges, replaced and deleted."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator

import httpx
import pytest

from tests.api.running import DEADLINE_S, RunningApi

PROXY = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture
def http(api: RunningApi) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=api.url, timeout=DEADLINE_S) as client:
        yield client


@pytest.fixture
def root(api: RunningApi) -> str:
    """The proxy's path of a new run's artifacts."""
    return f"0/{api.create_run()}/artifacts"


def put(http: httpx.Client, path: str, content: bytes, route: str = PROXY) -> httpx.Response:
    response = http.put(f"{route}/{path}", content=content)
    assert (response.status_code, response.text) == (200, "{}"), response.text
    return response


def refused(response: httpx.Response, status: int, error_code: str) -> str:
    assert (response.status_code, response.json()["error_code"]) == (status, error_code), response.text
    return str(response.json()["message"])


def listing(http: httpx.Client, path: str) -> list[dict[str, object]]:
    response = http.get(PROXY, params={"path": path})
    assert response.status_code == 200, response.text
    files = response.json()["files"]
    assert isinstance(files, list)
    return files


def run_of(root: str) -> str:
    return root.split("/")[1]


@pytest.mark.parametrize("route", [PROXY, "/ajax-api/2.0/mlflow-artifacts/artifacts"])
def test_an_upload_is_listed_and_downloaded_at_once(http: httpx.Client, root: str, route: str) -> None:
    content = secrets.token_bytes(300_000)
    put(http, f"{root}/plots/curve.png", content, route)
    found = http.get(f"{route}/{root}/plots/curve.png")
    assert found.content == content
    assert found.headers["content-type"] == "image/png"
    assert found.headers["content-length"] == "300000"
    assert found.headers["content-disposition"] == 'attachment; filename="curve.png"'
    assert found.headers["x-content-type-options"] == "nosniff"
    assert listing(http, f"{root}/plots") == [{"path": "curve.png", "is_dir": False, "file_size": 300_000}]


def test_a_listing_has_directories_and_files_of_one_level(http: httpx.Client, root: str) -> None:
    for path in ("b.txt", "a/deep/er.txt", "a/one.txt", "a0.txt", "a-b/x"):
        put(http, f"{root}/{path}", b"12")
    assert [(one["path"], one["is_dir"]) for one in listing(http, root)] == [
        ("a-b", True),
        ("a", True),
        ("a0.txt", False),
        ("b.txt", False),
    ]
    answer = http.get("/api/2.0/mlflow/artifacts/list", params={"run_id": run_of(root), "path": "a"}).json()
    assert answer["root_uri"] == f"mlflow-artifacts:/{root}"
    assert answer["files"] == [
        {"path": "a/deep", "is_dir": True},
        {"path": "a/one.txt", "is_dir": False, "file_size": 2},
    ]
    assert http.get("/api/2.0/mlflow/artifacts/list", params={"run_id": run_of(root), "path": "a/"}).json() == answer
    assert listing(http, f"{root}/a/one.txt") == []  # as in MLflow, a file has no entries
    assert listing(http, f"{root}/nothing") == []


def test_the_last_upload_of_a_path_is_shown(http: httpx.Client, root: str) -> None:
    put(http, f"{root}/notes.txt", b"first")
    put(http, f"{root}/notes.txt", b"second one")
    assert http.get(f"{PROXY}/{root}/notes.txt").text == "second one"
    assert listing(http, root) == [{"path": "notes.txt", "is_dir": False, "file_size": 10}]


def test_an_empty_file_is_a_file(http: httpx.Client, root: str) -> None:
    put(http, f"{root}/empty", b"")
    found = http.get(f"{PROXY}/{root}/empty")
    assert (found.status_code, found.content, found.headers["content-length"]) == (200, b"", "0")
    assert listing(http, root) == [{"path": "empty", "is_dir": False, "file_size": 0}]


@pytest.mark.parametrize(
    ("wanted", "status", "content", "content_range"),
    [
        ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-300", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=5-999999999999", 206, b"56789", "bytes 5-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=99-100", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("bytes=4-2", 200, b"0123456789", None),
        ("bytes=", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_a_range_is_served(
    http: httpx.Client, root: str, wanted: str, status: int, content: bytes, content_range: str | None
) -> None:
    put(http, f"{root}/digits", b"0123456789")
    found = http.get(f"{PROXY}/{root}/digits", headers={"Range": wanted})
    assert (found.status_code, found.content, found.headers.get("content-range")) == (status, content, content_range)


def test_a_download_is_resumed_only_on_the_same_bytes(http: httpx.Client, root: str) -> None:
    put(http, f"{root}/digits", b"0123456789")
    tag = http.get(f"{PROXY}/{root}/digits").headers["etag"]
    assert tag == f'"{hashlib.sha256(b"0123456789").hexdigest()}"'
    rest = {"Range": "bytes=8-", "If-Range": tag}
    assert http.get(f"{PROXY}/{root}/digits", headers=rest).content == b"89"
    assert http.get(f"{PROXY}/{root}/digits", headers={"If-None-Match": f'"other", {tag}'}).status_code == 304
    put(http, f"{root}/digits", b"abcdefghij")
    assert http.get(f"{PROXY}/{root}/digits", headers=rest).content == b"abcdefghij"


def test_head_answers_without_a_body(http: httpx.Client, root: str) -> None:
    put(http, f"{root}/MLmodel", b"flavors: {}")
    found = http.head(f"{PROXY}/{root}/MLmodel")
    assert (found.status_code, found.content) == (200, b"")
    assert (found.headers["content-length"], found.headers["content-type"]) == ("11", "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    "name", ["naïve ☃.txt", 'quo"te.txt', "semi;colon, comma.txt", "100%.txt", "%41.txt", "new\nline"]
)
def test_any_name_survives_the_way_there_and_back(http: httpx.Client, root: str, name: str) -> None:
    quoted = "".join(f"%{byte:02X}" for byte in name.encode())
    put(http, f"{root}/{quoted}", name.encode())
    found = http.get(f"{PROXY}/{root}/{quoted}")
    assert found.content == name.encode()
    assert found.headers["content-disposition"].startswith('attachment; filename="')
    assert [one["path"] for one in listing(http, root)] == [name]


def test_a_deleted_file_is_gone_and_a_deleted_directory_with_all_below_it(http: httpx.Client, root: str) -> None:
    for path in ("keep.txt", "dir/a", "dir/b/c", "dirt"):
        put(http, f"{root}/{path}", path.encode())
    assert http.delete(f"{PROXY}/{root}/keep.txt").status_code == 200
    assert http.delete(f"{PROXY}/{root}/dir").text == "{}"
    assert [one["path"] for one in listing(http, root)] == ["dirt"]
    refused(http.get(f"{PROXY}/{root}/dir/a"), 404, "RESOURCE_DOES_NOT_EXIST")
    refused(http.delete(f"{PROXY}/{root}/dir"), 404, "RESOURCE_DOES_NOT_EXIST")
    put(http, f"{root}/dir", b"now a file")
    assert http.get(f"{PROXY}/{root}/dir").text == "now a file"


def test_all_artifacts_of_a_run_are_deleted_at_its_root(http: httpx.Client, root: str) -> None:
    for path in ("a", "b/c", "b/d/e"):
        put(http, f"{root}/{path}", b"x")
    assert http.delete(f"{PROXY}/{root}/").status_code == 200
    assert listing(http, root) == []


def test_files_of_nobody_are_kept_under_their_whole_path(http: httpx.Client) -> None:
    folder = f"shared-{secrets.token_hex(4)}"
    for path in ("x.csv", "sub/y.csv", "sub/z.csv"):
        put(http, f"{folder}/{path}", path.encode())
    assert http.get(f"{PROXY}/{folder}/sub/y.csv").text == "sub/y.csv"
    assert [one["path"] for one in listing(http, folder)] == ["sub", "x.csv"]
    assert folder in [one["path"] for one in listing(http, "")]
    assert http.delete(f"{PROXY}/{folder}/sub").status_code == 200
    assert [one["path"] for one in listing(http, folder)] == ["x.csv"]


def test_a_run_is_found_behind_any_folder(api: RunningApi, http: httpx.Client, root: str) -> None:
    put(http, f"some/where/{run_of(root)}/artifacts/f", b"1")
    put(http, f"{run_of(root)}/artifacts/models/m-1/artifacts/g", b"2")
    assert [one["path"] for one in listing(http, root)] == ["f", "models"]
    unknown = f"0/{secrets.token_hex(16)}/artifacts"
    put(http, f"{unknown}/f", b"of nobody")
    assert http.get(f"{PROXY}/{unknown}/f").text == "of nobody"


def test_a_path_is_never_a_file_and_a_directory(http: httpx.Client, root: str) -> None:
    put(http, f"{root}/a/b", b"x")
    message = refused(http.put(f"{PROXY}/{root}/a", content=b"y"), 400, "INVALID_PARAMETER_VALUE")
    assert "'a' is a directory" in message
    message = refused(http.put(f"{PROXY}/{root}/a/b/c/d", content=b"y"), 400, "INVALID_PARAMETER_VALUE")
    assert "'a/b' is a file" in message
    message = refused(http.get(f"{PROXY}/{root}/a"), 400, "INVALID_PARAMETER_VALUE")
    assert "directory, not a file: 'a'" in message
    refused(http.put(f"{PROXY}/{root}", content=b"y"), 400, "INVALID_PARAMETER_VALUE")


def test_a_deleted_run_takes_no_artifacts_and_still_shows_them(api: RunningApi, http: httpx.Client, root: str) -> None:
    put(http, f"{root}/kept", b"x")
    assert api.post("/runs/delete", {"run_id": run_of(root)}).status_code == 200
    refused(http.put(f"{PROXY}/{root}/new", content=b"y"), 400, "INVALID_PARAMETER_VALUE")
    refused(http.delete(f"{PROXY}/{root}/kept"), 400, "INVALID_PARAMETER_VALUE")
    assert http.get(f"{PROXY}/{root}/kept").text == "x"


def test_pages_link_to_files_of_a_run(http: httpx.Client, root: str) -> None:
    put(http, f"{root}/report/index.html", b"<script>alert(1)</script>")
    found = http.get("/get-artifact", params={"run_uuid": run_of(root), "path": "report/index.html"})
    assert (found.status_code, found.text) == (200, "<script>alert(1)</script>")
    assert found.headers["content-disposition"].startswith("attachment")
    refused(http.get("/get-artifact", params={"run_id": run_of(root)}), 400, "INVALID_PARAMETER_VALUE")
    refused(http.get("/get-artifact", params={"run_id": "0" * 32, "path": "x"}), 404, "RESOURCE_DOES_NOT_EXIST")
    refused(http.get("/get-artifact", params={"run_id": run_of(root), "path": "x"}), 404, "RESOURCE_DOES_NOT_EXIST")
    refused(http.get("/get-artifact", params={"run_id": run_of(root), "path": "../x"}), 400, "INVALID_PARAMETER_VALUE")


def test_a_listing_of_an_unknown_run_is_not_found(api: RunningApi) -> None:
    refused(api.get("/artifacts/list", run_id="0" * 32), 404, "RESOURCE_DOES_NOT_EXIST")
    refused(api.get("/artifacts/list"), 400, "INVALID_PARAMETER_VALUE")
