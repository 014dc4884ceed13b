"""Requests from many connections at once: by `wrk` where it is installed, else by a client of ours, which costs more
CPU itself. Each request is the one before with the next number in it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

NUMBER = "@NUMBER@"
"""Stands in a body for the number of the request."""

_WRK_SCRIPT = """
local number, template = 0, [==[%s]==]
request = function()
  number = number + 1
  return wrk.format("POST", nil, {["Content-Type"] = "application/json"}, (template:gsub("@NUMBER@", number)))
end
%s
done = function(summary, latency)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  local p50 = latency:percentile(50)
  io.write(string.format("RESULT %%d %%d %%d %%d\\n", summary.requests, summary.duration, p50, failed))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What one burst of requests was answered."""

    requests: int
    took_s: float
    p50_ms: float
    failed: int

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.took_s


def drive(url: str, body: str, *, connections: int, duration_s: float, pause_s: float = 0.0) -> Load:
    """Return how many POSTs of `body` a server answers, each connection with one request under way.

    A connection waits `pause_s` after an answer, in whole ms.
    """
    if shutil.which("wrk") and duration_s >= 1:  # it knows no shorter time
        return _wrk(url, body, connections, round(duration_s), round(pause_s * 1000))
    return asyncio.run(_drive(url, body, connections, duration_s, pause_s))


def driver() -> str:
    """Return which client `drive` uses."""
    return "wrk" if shutil.which("wrk") else "an asyncio client"


def _wrk(url: str, body: str, connections: int, duration_s: int, pause_ms: int) -> Load:
    with tempfile.TemporaryDirectory(prefix="mltrail-bench-") as folder:
        script = Path(folder) / "post.lua"
        script.write_text(_WRK_SCRIPT % (body, f"delay = function() return {pause_ms} end" if pause_ms else ""))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{duration_s}s", "--timeout", "30s", "-s", str(script), url]
        printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=duration_s + 60).stdout
    for line in printed.splitlines():
        if line.startswith("RESULT "):
            requests, took_us, p50_us, failed = (int(word) for word in line.split()[1:])
            return Load(requests, took_us / 1e6, p50_us / 1000, failed)
    raise RuntimeError(f"wrk printed no result:\n{printed}")


async def _drive(url: str, body: str, connections: int, duration_s: float, pause_s: float) -> Load:
    place = urlsplit(url)
    head = f"POST {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\nContent-Length: "
    times_s: list[float] = []
    failed = number = 0
    begun = time.perf_counter()

    async def work() -> None:
        nonlocal failed, number
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        while time.perf_counter() - begun < duration_s:
            number += 1
            payload = body.replace(NUMBER, str(number)).encode()
            sent = time.perf_counter()
            writer.write(head.encode() + b"%d\r\n\r\n%b" % (len(payload), payload))
            answer = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in answer.split(b"\r\n")[1:-2])
            await reader.readexactly(int(fields[b"content-length"]))
            times_s.append(time.perf_counter() - sent)
            failed += not answer.startswith(b"HTTP/1.1 200")
            await asyncio.sleep(pause_s)
        writer.close()
        await writer.wait_closed()

    await asyncio.wait_for(asyncio.gather(*(work() for _ in range(connections))), duration_s + 60)
    return Load(len(times_s), time.perf_counter() - begun, median(times_s) * 1000, failed)
