"""A trainer: `python -m tests.acceptance.fault_rounds.trainer '{…}'` logs its known sequence for a while, and ends.

It ends with status 0 when all calls have returned, arrived or not: what has not is in the spool.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import mltrail
from tests.acceptance.fault_rounds.calls import Call, calls_of
from tests.acceptance.fault_rounds.journal import ENDED, START_RUN, JournalWriter

EXPERIMENT = "fault rounds"
EXIT_TIMEOUT_S = 1.5
"""Shorter than by default, so that some trainers end before their servers are back."""
_BURST = 8
_PAUSES_S = (0.001, 0.002, 0.005, 0.02)


@dataclass(frozen=True, slots=True)
class Order:
    """What a trainer is told."""

    name: str
    incarnation: int
    uri: str
    durability: str
    folder: str
    """Its own, for its journal and files; the spool, which all share, lies beside it."""
    run_id: str | None
    """The run to come back to."""
    duration_s: float
    large_bytes: int

    @property
    def journal(self) -> Path:
        """Where its journal is."""
        return Path(self.folder, f"{self.incarnation}.journal")


def train(order: Order) -> None:
    """Log what `calls_of` says until the time is over; note each call that has returned."""
    journal = JournalWriter(order.journal)
    mltrail.init(
        order.uri, durability=order.durability, exit_timeout_s=EXIT_TIMEOUT_S, block_timeout_s=20.0,
        record_environment=False, record_code=False, system_metrics_interval_s=0,
    )  # fmt: skip
    if order.run_id is None:
        run = mltrail.start_run(experiment=EXPERIMENT, name=order.name)
    else:
        run = mltrail.start_run(run_id=order.run_id, resume=True)
    journal.note(START_RUN, run.id)
    deadline = time.monotonic() + order.duration_s
    pauses = _pauses(order.name)
    for call in calls_of(order.name, order.incarnation, order.large_bytes):
        _do(call, run, Path(order.folder))
        returned_ns = time.monotonic_ns()
        journal.note(call.number)
        pause_s = next(pauses)
        if pause_s:
            time.sleep(pause_s)
        journal.note_hiccup(time.monotonic_ns() - returned_ns - int(pause_s * 1e9))
        if time.monotonic() > deadline:
            break
    run.end()
    journal.note(ENDED)


def _do(call: Call, run: mltrail.Run, folder: Path) -> None:
    match call.kind:
        case "metric":
            [(key, step, value)] = call.points
            run.log_metric(key, value, step=step)
        case "metrics":
            run.log_metrics({key: value for key, _, value in call.points}, step=call.points[0][1])
        case "series":
            run.log_series("series", [step for _, step, _ in call.points], [value for _, _, value in call.points])
        case "param":
            run.log_param(*call.text)
        case "tag":
            run.set_tag(*call.text)
        case "artifact":
            assert call.file is not None
            source = folder / Path(call.file.name).name
            with source.open("wb") as file:
                file.writelines(call.file.chunks())
            artifact_path, _, _ = artifact_of(call).rpartition("/")
            run.log_artifact(source, artifact_path)
            source.write_bytes(b"what becomes of the file afterwards is no part of the artifact")


def artifact_of(call: Call) -> str:
    """Return the path that the call's file gets in the run."""
    assert call.file is not None
    return call.file.name.split("/", 1)[1]


def _pauses(name: str) -> Iterator[float]:
    """Yield what a training does between two calls: mostly nothing, sometimes something."""
    random = Random(name)
    while True:
        yield from (0.0,) * random.randrange(_BURST)
        yield random.choice(_PAUSES_S)


if __name__ == "__main__":
    train(Order(**json.loads(sys.argv[1])))
