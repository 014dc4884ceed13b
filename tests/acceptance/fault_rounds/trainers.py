"""The trainers of a round, each with all its incarnations: started, killed, come back, waited for."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from mltrail._settings import DEFAULT_FLUSH_INTERVAL_S
from tests import preloaded
from tests.acceptance.fault_rounds.journal import START_RUN, Line, read_journal
from tests.acceptance.fault_rounds.trainer import Order

_MARGIN_NS = 50_000_000
"""Packing and writing itself, once the interval is over."""
_HICCUPS = 2
"""The SDK's threads may wait for the machine as long as the trainer's own did: once before they pack, once while they
write."""
_COME_BACK_S = 0.8
"""How long a trainer that came back trains."""
BEGIN_TIMEOUT_S = END_TIMEOUT_S = 60.0
_POLL_S = 0.01


@dataclass(slots=True)
class Incarnation:
    """A process of a trainer."""

    order: Order
    process: preloaded.Process | subprocess.Popen[bytes]
    watched: Future[int]
    """When the process was gone."""
    killed_ns: int | None = None
    """When it was killed, or a little before; None for one that ended by itself."""
    lines: list[Line] = field(default_factory=list)
    """What its calls had returned from."""

    @property
    def run_id(self) -> str | None:
        """The run that it began or came back to; None when it was killed before it had one."""
        return next((line.word for line in self.lines if line.number == START_RUN), None)

    def is_promised(self, line: Line) -> bool:
        """Return whether nothing excuses the loss of what this call logged.

        With `durability="sync"`, and of a process that ended by itself, that is every call. Of one that was killed it
        is what had returned `flush_interval_s` before, and a margin for a machine that is busy: the trainer itself says
        for how long it was held up at most when it asked for no pause.
        """
        if self.killed_ns is None or self.order.durability == "sync":
            return True
        hiccup_ns = max(one.hiccup_ns for one in self.lines)
        window_ns = int(DEFAULT_FLUSH_INTERVAL_S * 1e9) + _MARGIN_NS + _HICCUPS * hiccup_ns
        return line.returned_ns < self.killed_ns - window_ns

    def look(self) -> None:
        """Read its journal, once the process has ended."""
        self.lines = read_journal(self.order.journal)


class Trainer:
    """A training that comes back, to the same run, when it is killed."""

    def __init__(self, order: Order, env: Mapping[str, str]) -> None:
        self.incarnations: list[Incarnation] = []
        self._first_order = order
        self._env = {**os.environ, **env}
        self._lock = threading.Lock()
        self._watching = ThreadPoolExecutor()

    def start(self) -> None:
        """Begin, or come back."""
        with self._lock:
            order = self._first_order
            if self.incarnations:
                last = self.incarnations[-1]
                begun = [line.word for line in last.lines if line.number == START_RUN and last.is_promised(line)]
                order = dataclasses.replace(
                    order,
                    incarnation=len(self.incarnations),
                    run_id=begun[0] if begun else None,
                    duration_s=_COME_BACK_S,
                    large_bytes=0,
                )
            with Path(order.folder, "output").open("ab") as output:
                words = ["tests.acceptance.fault_rounds.trainer", json.dumps(dataclasses.asdict(order))]
                process = preloaded.start(
                    preloaded.MLTRAIL, words, folder=Path.cwd(), env=self._env,
                    stdout=output.fileno(), stderr=output.fileno(),
                )  # fmt: skip
            self.incarnations.append(Incarnation(order, process, self._watching.submit(_end_of, process)))

    def wait_begun(self) -> None:
        """Return once its first run has begun, or its process has ended."""
        first = self.incarnations[0]
        deadline = time.monotonic() + BEGIN_TIMEOUT_S
        while not read_journal(first.order.journal) and first.process.poll() is None:
            assert time.monotonic() < deadline, f"{first.order.name} did not begin within {BEGIN_TIMEOUT_S:g} s"
            time.sleep(_POLL_S)

    def kill(self, then_wait: Callable[[], None]) -> None:
        """Kill the trainer with SIGKILL, if it has not ended already, wait, and let it come back."""
        with self._lock:
            last = self.incarnations[-1]
            if last.process.poll() is not None:
                return
            last.killed_ns = time.monotonic_ns()  # before: what it did afterwards it may have lost or not
            last.process.kill()
            last.process.wait(END_TIMEOUT_S)
            if last.process.returncode == 0:  # it was quicker
                last.killed_ns = None
                return
            last.look()
        then_wait()
        self.start()

    def wait(self) -> float:
        """Return how long its end took, from its last call to the end of its process, once it has ended by itself.

        Raises:
            AssertionError: it failed, or did not end.
        """
        last = self.incarnations[-1]
        try:
            ended_ns = last.watched.result(END_TIMEOUT_S)
        except TimeoutError as error:
            raise AssertionError(f"{last.order.name} did not end within {END_TIMEOUT_S:g} s") from error
        status = last.process.wait()
        assert status == 0, f"{last.order.name} ended with status {status}:\n{self.output()}"
        last.look()
        return (ended_ns - max(line.returned_ns for line in last.lines if line.number > START_RUN)) / 1e9

    def end(self) -> None:
        """Kill what is left. Idempotent."""
        for incarnation in self.incarnations:
            if incarnation.process.poll() is None:
                incarnation.process.kill()
                incarnation.process.wait(END_TIMEOUT_S)
        self._watching.shutdown()

    def output(self, last_bytes: int = 3000) -> str:
        """Return the end of what all incarnations printed."""
        return Path(self._first_order.folder, "output").read_bytes()[-last_bytes:].decode(errors="replace")


def _end_of(process: preloaded.Process | subprocess.Popen[bytes]) -> int:
    process.wait()
    return time.monotonic_ns()
