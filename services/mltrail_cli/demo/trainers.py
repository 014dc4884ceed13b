"""The demo's training processes: started at once, watched until they end."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from mltrail_cli.demo.candidates import CANDIDATES
from mltrail_cli.demo.training import ClientName, Stepped, Trained

_TIMEOUT_S = 300.0
_SHOWN_LINES = 12


@dataclass(slots=True)
class Trainer:
    """One process and what it has said so far; `faults` is the end of its stderr when it failed."""

    number: int
    client: ClientName
    process: subprocess.Popen[str]
    trained: list[Trained] = field(default_factory=list)
    faults: str = ""

    @property
    def runs(self) -> int:
        """How many runs it makes."""
        return len(CANDIDATES[self.number])


def has_mlflow() -> bool:
    """Return whether the stock client is installed."""
    spec = importlib.util.find_spec("mlflow")
    return spec is not None and spec.origin is not None


def planned_clients(processes: int) -> list[ClientName]:
    """Return what each trainer logs through: the stock client, when it is installed, for one in four and for the last
    of fewer.

    No more, since each imports MLflow for some seconds while the others train.
    """
    stock: ClientName = "mlflow" if has_mlflow() and processes > 1 else "mltrail"
    return [stock if number % 4 == min(3, processes - 1) else "mltrail" for number in range(processes)]


def train_all(
    url: str,
    experiment: str,
    clients: Sequence[ClientName],
    *,
    on_line: Callable[[Trainer, Stepped | Trained], None],
) -> list[Trainer]:
    """Run all trainers at the same time, tell `on_line` what they say, and return them when the last has ended.

    One that fails, or does not end in time, has an exit status other than 0.
    """
    lines: queue.SimpleQueue[tuple[Trainer, str | None]] = queue.SimpleQueue()
    with contextlib.ExitStack() as running:
        trainers = [
            running.enter_context(_running(number, client, url, experiment, lines))
            for number, client in enumerate(clients)
        ]
        give_up = time.monotonic() + _TIMEOUT_S
        busy = len(trainers)
        while busy and time.monotonic() < give_up:
            with contextlib.suppress(queue.Empty):
                trainer, line = lines.get(timeout=0.5)
                if line is None:
                    busy -= 1
                else:
                    _take(trainer, line, on_line)
    return trainers


@contextlib.contextmanager
def _running(
    number: int, client: ClientName, url: str, experiment: str, lines: queue.SimpleQueue[tuple[Trainer, str | None]]
) -> Iterator[Trainer]:
    """Give a started trainer; at the end it is killed when it has not ended, and its pipes are read to their ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mltrail_cli.demo.training", client, url, experiment, str(number)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(),
    )
    trainer = Trainer(number, client, process)
    assert process.stdout is not None
    assert process.stderr is not None
    said, complained = process.stdout, process.stderr

    def read_lines() -> None:
        for line in said:
            lines.put((trainer, line))
        lines.put((trainer, None))

    def read_complaints() -> None:
        kept = complained.read().splitlines()[-_SHOWN_LINES:]
        trainer.faults = "\n".join(kept)

    readers = [threading.Thread(target=read_lines), threading.Thread(target=read_complaints)]
    for reader in readers:
        reader.start()
    try:
        yield trainer
        process.wait(10)
    finally:
        process.kill()
        for reader in readers:
            reader.join()
        process.wait()
        said.close()
        complained.close()


def _take(trainer: Trainer, line: str, on_line: Callable[[Trainer, Stepped | Trained], None]) -> None:
    fields = json.loads(line) if line.startswith("{") else {}
    match fields.pop("kind", None):
        case "Stepped":
            on_line(trainer, Stepped(**fields))
        case "Trained":
            done = Trained(**fields)
            trainer.trained.append(done)
            on_line(trainer, done)
        case _:
            return  # a library greets


def _environment() -> dict[str, str]:
    """Return our environment without what would send the trainers elsewhere, with one thread for each."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLTRAIL_", "MLFLOW_"))}
    one_thread = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    quiet = {"GIT_PYTHON_REFRESH": "quiet", "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONWARNINGS": "ignore"}
    return kept | one_thread | quiet
