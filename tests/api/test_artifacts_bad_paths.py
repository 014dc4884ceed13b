"""Paths that lead out of the root, or nowhere: refused with 400 wherever they are sent, and nothing is stored."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.api.running import DEADLINE_S, RunningApi

PROXY = "/api/2.0/mlflow-artifacts/artifacts"

BAD_PATHS = [
    "../x",
    "a/../x",
    "a/..",
    "..",
    "../../../../etc/passwd",
    "%2e%2e/x",
    "%2E%2E%2Fx",
    "a/%2e%2e/%2e%2e/x",
    "%252e%252e/x",
    "%25252e%25252e%25252fx",
    "..%2fx",
    "..%252fx",
    "/etc/passwd",
    "%2fetc/passwd",
    "%252fetc/passwd",
    "a%00b",
    "a%2500b",
    "a%5cb",
    "..%5c..%5cx",
    "a%255cb",
    "a//b",
    "a/./b",
    "./a",
    "x" * 5000,
]


@pytest.fixture
def root(api: RunningApi) -> str:
    return f"0/{api.create_run()}/artifacts"


@pytest.fixture
def connection(api: RunningApi) -> Iterator[socket.socket]:
    """A bare connection: HTTP clients tidy up paths before they send them."""
    with socket.create_connection(("127.0.0.1", int(api.url.rsplit(":", 1)[1])), timeout=DEADLINE_S) as opened:
        yield opened


def ask(connection: socket.socket, method: str, target: str, body: bytes = b"") -> tuple[int, bytes]:
    """Return status and body of the answer to one request, sent exactly so."""
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode() + body)
    answer = b""
    while chunk := connection.recv(65_536):
        answer += chunk
    status, _, rest = answer.partition(b"\r\n")
    return int(status.split()[1]), rest.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("below", ["", "run"])
@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_bad_path_of_the_proxy_is_refused(
    api: RunningApi, connection: socket.socket, root: str, method: str, path: str, below: str
) -> None:
    if below and path.startswith(("/", "%2f")):
        path = "a/" + path  # an empty part in the middle
    target = f"{PROXY}/{root}/{path}" if below else f"{PROXY}/{path}"
    status, body = ask(connection, method, target, b"content" if method == "PUT" else b"")
    assert (status, b"INVALID_PARAMETER_VALUE" in body) == (400, True), body
    assert api.get("/artifacts/list", run_id=root.split("/")[1]).json()["files"] == []


@pytest.mark.parametrize("path", [path for path in BAD_PATHS if not path.startswith("%25")])
@pytest.mark.parametrize(
    "target",
    [
        f"{PROXY}?path=",
        "/api/2.0/mlflow/artifacts/list?run_id={run_id}&path=",
        "/get-artifact?run_id={run_id}&path=",
    ],
)
def test_a_bad_path_in_a_query_is_refused(connection: socket.socket, root: str, target: str, path: str) -> None:
    status, body = ask(connection, "GET", target.format(run_id=root.split("/")[1]) + path)
    assert (status, b"INVALID_PARAMETER_VALUE" in body) == (400, True), body


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("PUT", PROXY, 405),
        ("PUT", f"{PROXY}/", 400),
        ("GET", f"{PROXY}/", 404),
        ("DELETE", f"{PROXY}/", 400),
        ("DELETE", PROXY, 405),
        ("POST", f"{PROXY}/a", 405),
        ("PUT", f"{PROXY}/a%23b", 400),
        ("GET", f"{PROXY}/%ff%fe", 404),
        ("GET", f"{PROXY}?path=%ff", 400),
        ("GET", f"{PROXY}/nothing/here", 404),
        ("DELETE", f"{PROXY}/nothing/here", 404),
        ("POST", "/api/2.0/mlflow-artifacts/mpu/create/x", 400),
        ("GET", "/api/2.0/mlflow-artifacts/presigned/x", 501),
        ("GET", "/api/2.0/mlflow-artifacts", 404),
        ("GET", "/get-artifact", 400),
        ("GET", "/model-versions/get-artifact?name=x&version=1&path=y", 404),
        ("GET", "/model-versions/get-artifact?name=x&version=one&path=y", 400),
    ],
)
def test_a_request_for_nothing_is_refused(connection: socket.socket, method: str, target: str, status: int) -> None:
    found, body = ask(connection, method, target)
    assert (found, b"error_code" in body) == (status, True), body
