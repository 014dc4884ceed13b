"""One round: trainers log, everything fails and comes back, `mltrail sync` sends what is left, all is compared."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.fault_rounds.arrived import arrived_run
from tests.acceptance.fault_rounds.installation import Installation
from tests.acceptance.fault_rounds.judge import Verdict, judge
from tests.acceptance.fault_rounds.plan import TRAINERS, Fault, Plan, Victim
from tests.acceptance.fault_rounds.trainer import Order
from tests.acceptance.fault_rounds.trainers import Incarnation, Trainer
from tests.acceptance.stack import COMMAND

_SYNC_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class RoundResult:
    """What became of a round."""

    plan: Plan
    verdicts: tuple[Verdict, ...]
    faults: tuple[str, ...]
    """Why the round failed; none when it did not."""
    left_spools: int
    """Spools that trainers left to `mltrail sync`."""
    longest_end_s: float
    """What the end of a trainer took, from its last call to the exit of its process."""
    took_s: float

    def shown(self) -> str:
        """Return the round in one line."""
        facts = sum(verdict.fact_count for verdict in self.verdicts)
        files = sum(verdict.file_bytes for verdict in self.verdicts)
        lost_ms = max((verdict.lost_ns for verdict in self.verdicts), default=0) / 1e6
        return (
            f"round {self.plan.number}: {'LOST OR DOUBLED' if self.faults else 'ok'} in {self.took_s:.1f} s; "
            f"{facts:,} facts, {files / 1e6:.1f} MB of artifacts in {len(self.verdicts)} runs; "
            f"by sync {self.left_spools} spools; lost by SIGKILL at most {lost_ms:.0f} ms; "
            f"longest exit {self.longest_end_s:.1f} s; {self.plan.shown()}"
        )


def run_round(stands: Installation, plan: Plan, folder: Path) -> RoundResult:
    """Carry out the plan in `folder`, which is empty and goes again when the round was good.

    Raises:
        AssertionError: something did not come back, or did not end, within its time.
    """
    begun = time.monotonic()
    spool = folder / "spool"
    trainers = [_trainer(stands, plan, folder, number) for number in range(TRAINERS)]
    try:
        for trainer in trainers:
            trainer.start()
        for trainer in trainers:
            trainer.wait_begun()
        _let_fail(stands, plan, trainers)
        stands.heal()
        longest_end_s = max([trainer.wait() for trainer in trainers])
    finally:
        for trainer in trainers:
            trainer.end()
    left_spools = len(list(spool.iterdir())) if spool.exists() else 0
    faults = list(_synced(spool)) if left_spools else []
    stands.catch_up()
    verdicts = tuple(
        judge(incarnations, arrived_run(run_id, stands.read_model, stands.artifacts))
        for run_id, incarnations in _by_run(trainers).items()
    )
    faults += [fault for verdict in verdicts for fault in verdict.faults]
    faults += [
        f"{one.order.name} had started a run that is not known: nothing can be compared"
        for trainer in trainers
        for one in trainer.incarnations
        if one.killed_ns is None and one.run_id is None
    ]
    if faults:
        faults += [f"{folder} is kept; the output of the trainers:", *(trainer.output() for trainer in trainers)]
    else:
        shutil.rmtree(folder)
    return RoundResult(plan, verdicts, tuple(faults), left_spools, longest_end_s, time.monotonic() - begun)


def _trainer(stands: Installation, plan: Plan, folder: Path, number: int) -> Trainer:
    """Two trainers log over HTTP, one straight into Redis, and one over HTTP with calls that wait for the disk."""
    own = folder / f"trainer-{number}"
    own.mkdir(parents=True)
    order = Order(
        name=f"{plan.seed}-{plan.number}-{number}",
        incarnation=0,
        uri=stands.redis_uri if number == 2 else stands.http_uri,
        durability="sync" if number == 3 else "batch",
        folder=str(own),
        run_id=None,
        duration_s=plan.train_s,
        large_bytes=plan.large_bytes if number == plan.large_trainer else 0,
    )
    return Trainer(order, {"MLTRAIL_SPOOL": str(folder / "spool")})


def _let_fail(stands: Installation, plan: Plan, trainers: list[Trainer]) -> None:
    """Return once all faults were caused, and who they befell has come back; faults of different victims overlap."""
    begun = time.monotonic()
    broken = threading.Event()

    def wait(seconds: float) -> None:
        broken.wait(max(0.0, seconds))

    def befall(victim: Victim, faults: list[Fault]) -> None:
        try:
            for fault in faults:
                wait(begun + fault.at_s - time.monotonic())
                if victim.startswith("trainer"):
                    trainers[int(victim.split()[1])].kill(_waiting(wait, fault.for_s))
                else:
                    stands.cause(fault, plan.random, wait)
        except BaseException:
            broken.set()
            raise

    by_victim: dict[Victim, list[Fault]] = {}
    for fault in plan.faults:
        by_victim.setdefault(fault.victim, []).append(fault)
    with ThreadPoolExecutor(len(by_victim)) as threads:
        for done in [threads.submit(befall, victim, faults) for victim, faults in by_victim.items()]:
            done.result()


def _waiting(wait: Callable[[float], None], seconds: float) -> Callable[[], None]:
    return lambda: wait(seconds)


def _synced(spool: Path) -> Iterator[str]:
    """Send what is left with the command that people use; yield what went wrong."""
    done = subprocess.run(
        [*COMMAND, "sync", str(spool), "--wait", "30"],
        env=dict(os.environ), capture_output=True, text=True, timeout=_SYNC_TIMEOUT_S, check=False,
    )  # fmt: skip
    left = [path.name for path in spool.iterdir()]
    if done.returncode or left:
        yield f"mltrail sync ended with {done.returncode} and left {left}:\n{done.stdout}{done.stderr}"


def _by_run(trainers: list[Trainer]) -> dict[str, list[Incarnation]]:
    runs: dict[str, list[Incarnation]] = {}
    for trainer in trainers:
        for incarnation in trainer.incarnations:
            if incarnation.run_id is not None:
                runs.setdefault(incarnation.run_id, []).append(incarnation)
    return runs
