"""How long a server takes until it answers, and what it holds while nobody asks anything."""

from __future__ import annotations

import contextlib
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from statistics import median

from tests.benchmarks.peers import Blueprint
from tests.benchmarks.processes import memory_bytes, process_count
from tests.benchmarks.results import Result

_FIRST_QUESTION = "/api/2.0/mlflow/experiments/get?experiment_id=0"
_IDLE_S = 3.0
_DEADLINE_S = 120.0


def measure(blueprint: Blueprint, starts: int) -> Iterator[Result]:
    """Give the start rows of one peer, which is started anew each time on the data of the time before."""
    healthy_s, answered_s, held_bytes, processes = [], [], 0, 0
    for _ in range(starts):
        begun = time.perf_counter()
        with blueprint.running("/health") as peer:
            healthy_s.append(time.perf_counter() - begun)
            _wait_for_answer(peer.url + _FIRST_QUESTION)
            answered_s.append(time.perf_counter() - begun)
            time.sleep(_IDLE_S)
            held_bytes, processes = memory_bytes([peer.group]), process_count([peer.group])
    yield Result("/health answers after", blueprint.name, median(healthy_s), "s")
    yield Result("the first question is answered after", blueprint.name, median(answered_s), "s")
    yield Result("memory when idle (PSS)", blueprint.name, held_bytes / 2**20, "MiB")
    yield Result("processes", blueprint.name, processes, "")


def _wait_for_answer(url: str) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while True:
        with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=_DEADLINE_S):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{url} was not answered within {_DEADLINE_S:g} s")
        time.sleep(0.02)
