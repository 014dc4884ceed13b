"""Uploads that are large, slow, broken off or refused: the server's memory stays small and nothing unfinished stays."""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.server_process import Server

PROXY = "/api/2.0/mlflow-artifacts/artifacts"
MIB = 1 << 20
LARGE_BYTES = 200 * MIB
DEADLINE_S = 60.0
needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks at another process in /proc")


class MltrailServer(Server):
    """`mltrail server` on a folder, as users start it."""

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def argv(self) -> list[str]:
        return [sys.executable, "-m", "mltrail_cli", "server", "--data", str(self.data), "--port", str(self.port)]

    def answers(self) -> bool:
        return self._http_ok("/health")

    def peak_mib(self) -> float:
        """Return the most memory that the process ever had resident."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MltrailServer]:
    running = MltrailServer(tmp_path_factory.mktemp("large"), None)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def http(server: MltrailServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=DEADLINE_S) as client:
        yield client


@pytest.fixture
def root(http: httpx.Client) -> str:
    answer = http.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0"})
    assert answer.status_code == 200, answer.text
    return f"0/{answer.json()['run']['info']['run_id']}/artifacts"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)


def unfinished(server: MltrailServer) -> list[Path]:
    return list((server.data / "artifacts" / "unfinished").glob("*"))


def open_files(pid: int) -> Iterator[str]:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since the folder was read
            yield str(link.readlink())


def blobs(server: MltrailServer) -> set[str]:
    return {path.name for path in (server.data / "artifacts" / "blobs" / "sha256").glob("*")}


@needs_proc
def test_a_file_of_200_mb_goes_both_ways_in_little_memory(server: MltrailServer, http: httpx.Client, root: str) -> None:
    part = secrets.token_bytes(MIB)
    http.put(f"{PROXY}/{root}/warm", content=part).raise_for_status()
    before = server.peak_mib()

    def body() -> Iterator[bytes]:
        for _ in range(LARGE_BYTES // MIB):
            yield part

    http.put(f"{PROXY}/{root}/large.bin", content=body()).raise_for_status()
    sent = hashlib.sha256(part * (LARGE_BYTES // MIB)).hexdigest()
    received, size_bytes = hashlib.sha256(), 0
    with http.stream("GET", f"{PROXY}/{root}/large.bin") as answer:
        assert answer.headers["content-length"] == str(LARGE_BYTES)
        for chunk in answer.iter_raw():
            received.update(chunk)
            size_bytes += len(chunk)
    assert (size_bytes, received.hexdigest()) == (LARGE_BYTES, sent)
    assert sent in blobs(server)
    grown = server.peak_mib() - before
    assert grown < 60


def test_an_upload_that_breaks_off_leaves_nothing(server: MltrailServer, http: httpx.Client, root: str) -> None:
    known = blobs(server)
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) as broken:
        head = f"PUT {PROXY}/{root}/broken HTTP/1.1\r\nHost: localhost\r\nContent-Length: {20 * MIB}\r\n\r\n"
        broken.sendall(head.encode() + bytes(5 * MIB))
        wait_until(lambda: any(path.stat().st_size for path in unfinished(server)))
    wait_until(lambda: not unfinished(server))
    assert blobs(server) == known
    assert http.get(f"{PROXY}/{root}/broken").status_code == 404
    assert http.get(PROXY, params={"path": root}).json()["files"] == []


def test_a_refused_upload_is_not_stored(server: MltrailServer, http: httpx.Client, root: str) -> None:
    run_id = root.split("/")[1]
    http.post("/api/2.0/mlflow/runs/delete", json={"run_id": run_id}).raise_for_status()
    known = blobs(server)
    answer = http.put(f"{PROXY}/{root}/late", content=secrets.token_bytes(5 * MIB))
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert not unfinished(server)
    assert blobs(server) == known
    assert http.get("/health").status_code == 200  # the rest of the body did not confuse the connection


@needs_proc
def test_a_download_that_is_abandoned_is_closed(server: MltrailServer, http: httpx.Client, root: str) -> None:
    http.put(f"{PROXY}/{root}/file", content=bytes(50 * MIB)).raise_for_status()
    for _ in range(5):
        with http.stream("GET", f"{PROXY}/{root}/file") as answer:
            next(answer.iter_raw())

    wait_until(lambda: not any("blobs/sha256" in path for path in open_files(server.pid)))


def test_a_slow_upload_and_a_quick_one_do_not_wait_for_each_other(
    server: MltrailServer, http: httpx.Client, root: str
) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) as slow:
        head = f"PUT {PROXY}/{root}/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nConnection: close\r\n\r\n"
        slow.sendall(head.encode() + b"01234")
        wait_until(lambda: bool(unfinished(server)))
        http.put(f"{PROXY}/{root}/quick", content=b"quick").raise_for_status()
        assert http.get(f"{PROXY}/{root}/slow").status_code == 404
        slow.sendall(b"56789")
        assert slow.recv(1000).startswith(b"HTTP/1.1 200")
    assert http.get(f"{PROXY}/{root}/slow").text == "0123456789"
