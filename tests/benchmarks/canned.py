"""The server that does nothing: it answers MLflow's client from memory, at once, with bodies of the right size.

What a client needs against it is the client's own cost, which no server can beat: the floor. Started as
`python -m tests.benchmarks.canned PORT`.

With `--fsync FILE` it still does nothing, but answers a write only when the bytes of its body are on the disk: what no
server can beat that acknowledges what is durable. With `--work-ms N` besides, another process computes for N ms for
each `log-batch`, some time after it was answered: what no server can beat that makes something of what it was sent, on
the machine of the client.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.benchmarks.shapes import START_MS, metric_value, metrics_of_run, params_of_run, tags_of_run

RUN_ID = "0" * 32
_PREFIX = "/api/2.0/mlflow/"
_READS = ("runs/search", "metrics/get-history")
_ROOM_BYTES = 16 << 20

_GATHER_S = 0.05

Keep = Callable[[bytes], None]


class Behind:
    """A process that has so much to do for each write that it is told of, in turns of what came in `_GATHER_S`."""

    def __init__(self, work_s: float) -> None:
        reading, self._writing = os.pipe()
        if os.fork() == 0:
            os.close(self._writing)
            _work(reading, work_s)
            os._exit(0)
        os.close(reading)

    def tell(self) -> None:
        """Say that there was one more."""
        os.write(self._writing, b".")


def _work(told: int, work_s: float) -> None:
    while count := len(os.read(told, 1 << 16)):
        until = time.thread_time() + count * work_s
        numbers: dict[int, int] = {}
        while time.thread_time() < until:
            for number in range(100):
                numbers[len(numbers) * 7919 % 50_021] = number
        time.sleep(_GATHER_S)


class Disk:
    """Room on a disk that is written over and over: to make a file longer would cost more than to keep the bytes."""

    def __init__(self, path: Path, behind: Behind | None) -> None:
        self._behind = behind
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
        os.pwrite(self._descriptor, bytes(_ROOM_BYTES), 0)
        os.fsync(self._descriptor)
        self._place = 0

    def keep(self, body: bytes) -> None:
        """Return when the bytes are on the disk."""
        if self._place + len(body) > _ROOM_BYTES:
            self._place = 0
        self._place += os.pwrite(self._descriptor, body, self._place)
        os.fdatasync(self._descriptor)
        if self._behind is not None and b'"metrics"' in body:
            self._behind.tell()


class CannedProtocol(asyncio.Protocol):
    """One connection: finds the end of each request and sends what belongs to its path."""

    def __init__(self, keep: Keep | None) -> None:
        self._keep = keep
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        assert self._transport is not None
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            size = _content_length(head)
            if len(self._received) < end + 4 + size:
                return
            body = self._received[end + 4 : end + 4 + size]
            self._received = self._received[end + 4 + size :]
            target = head.split(b" ", 2)[1].decode()
            if self._keep is not None and body and urlsplit(target).path.removeprefix(_PREFIX) not in _READS:
                self._keep(body)
            answer = _answer(target, body)
            self._transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                % (len(answer), answer)
            )


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


_kept: dict[tuple[str, int], bytes] = {}


def _answer(target: str, body: bytes) -> bytes:
    url = urlsplit(target)
    match url.path.removeprefix(_PREFIX):
        case "runs/search":
            return _once("search", int(json.loads(body)["max_results"]))
        case "runs/create":
            return _once("run", 1)
        case "metrics/get-history":
            return _once("history", int(parse_qs(url.query)["metric_key"][0].rpartition("_")[2]))
        case "experiments/create":
            return b'{"experiment_id": "1"}'
        case _:
            return b"{}"


def _once(kind: str, count: int) -> bytes:
    """Return the body of an answer, made at its first use."""
    if (kind, count) not in _kept:
        made: dict[str, object]
        if kind == "history":
            made = {"metrics": [_metric(f"history_{count}", metric_value(n), n) for n in range(count)]}
        elif kind == "run":
            made = {"run": _run(0)}
        else:
            made = {"runs": [_run(n) for n in range(count)]}
        _kept[kind, count] = json.dumps(made).encode()
    return _kept[kind, count]


def _metric(key: str, value: float, step: int) -> dict[str, object]:
    return {"key": key, "value": value, "timestamp": START_MS + step, "step": step}


def _run(number: int) -> dict[str, object]:
    run_id = f"{number:032x}"
    info = {
        "run_uuid": run_id,
        "experiment_id": "1",
        "run_name": f"run {number}",
        "user_id": "benchmark",
        "status": "RUNNING",
        "start_time": START_MS,
        "artifact_uri": f"mlflow-artifacts:/1/{run_id}/artifacts",
        "lifecycle_stage": "active",
        "run_id": run_id,
    }
    data = {
        "metrics": [_metric(key, value, 0) for key, value in metrics_of_run(number)],
        "params": [{"key": key, "value": value} for key, value in params_of_run(number)],
        "tags": [{"key": key, "value": value} for key, value in tags_of_run(number)],
    }
    return {"info": info, "data": data, "inputs": {}, "outputs": {}}


async def serve(port: int, keep: Keep | None) -> None:
    """Answer on a port until the process ends; a write when `keep` has returned."""
    server = await asyncio.get_running_loop().create_server(lambda: CannedProtocol(keep), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.canned", description=__doc__)
    parser.add_argument("--fsync", type=Path, metavar="FILE")
    parser.add_argument("--work-ms", type=float, default=0.0, metavar="N")
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    behind = Behind(options.work_ms / 1000) if options.work_ms else None
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.port, None if options.fsync is None else Disk(options.fsync, behind).keep))
