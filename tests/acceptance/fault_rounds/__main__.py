"""`python -m tests.acceptance.fault_rounds --rounds 100`: prints a line for each round, and stops at the first loss."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import SystemRandom

from tests import servers
from tests.acceptance.fault_rounds.installation import installation
from tests.acceptance.fault_rounds.plan import plan_of
from tests.acceptance.fault_rounds.rounds import RoundResult, run_round
from tests.server_process import ServerFailed

TRAIN_S = 2.5
_ROUNDS_OF_AN_INSTALLATION = 20
"""Then its data goes, and the next installation has its read model in the other database."""


def main(arguments: Sequence[str]) -> int:
    """Carry out the rounds; return 0 when all were good."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # or the servers would be left behind
    last = options.first + options.rounds - 1
    print(f"seed {options.seed}, rounds {options.first} to {last}, {os.cpu_count()} cores", flush=True)
    begun = time.monotonic()
    done: list[RoundResult] = []
    folder = Path(tempfile.mkdtemp(prefix="mltrail-fault-rounds-"))
    why = ""
    try:
        for result in _rounds(options, folder):
            done.append(result)
            print(result.shown(), flush=True)
            if result.faults:
                why = "\n".join(result.faults)
                break
    except (AssertionError, ServerFailed) as error:  # who did not come back or did not end
        why = f"round {options.first + len(done)}: {error}"
    except (KeyboardInterrupt, SystemExit):  # somebody wants no more
        print(_total(done, time.monotonic() - begun), flush=True)
        shutil.rmtree(folder)
        raise
    print(_total(done, time.monotonic() - begun))
    if not why:
        shutil.rmtree(folder)
        return 0
    failed = options.first + len(done) - bool(done and done[-1].faults)
    print(f"{why}\nall is in {folder}; the same faults again (moments differ a little):")
    print(f"  python -m tests.acceptance.fault_rounds --seed {options.seed} --first {failed}", flush=True)
    return 1


def _rounds(options: argparse.Namespace, folder: Path) -> Iterator[RoundResult]:
    """Yield what became of each round; servers live for many of them."""
    numbers = range(options.first, options.first + options.rounds)
    with servers.postgres(folder / "postgres", fsync=True) as postgres:
        for start in range(0, len(numbers), _ROUNDS_OF_AN_INSTALLATION):
            is_first_kind = start // _ROUNDS_OF_AN_INSTALLATION % 2 == 0
            store_url = None if is_first_kind else postgres.create_database(f"rounds_{start}")
            place = folder / f"installation-{start}"
            place.mkdir()
            with installation(place, store_url) as stands:
                for number in numbers[start : start + _ROUNDS_OF_AN_INSTALLATION]:
                    plan = plan_of(
                        options.seed, number, train_s=TRAIN_S, artifact_bytes=int(options.artifact_mb * 1_000_000)
                    )
                    yield run_round(stands, plan, folder / f"round-{number}")
            shutil.rmtree(place)


def _total(done: Sequence[RoundResult], took_s: float) -> str:
    good = sum(not result.faults for result in done)
    verdicts = [verdict for result in done for verdict in result.verdicts]
    faults = sum(len(result.plan.faults) for result in done)
    return (
        f"{good} of {len(done)} rounds lost and doubled nothing, in {took_s:.0f} s: {faults} faults, "
        f"{len(verdicts)} runs, {sum(verdict.fact_count for verdict in verdicts):,} facts, "
        f"{sum(verdict.file_bytes for verdict in verdicts) / 1e6:,.0f} MB of artifacts, "
        f"{sum(result.left_spools for result in done)} spools sent by mltrail sync; lost by SIGKILL at most "
        f"{max((verdict.lost_ns for verdict in verdicts), default=0) / 1e6:.0f} ms, "
        f"longest exit {max((result.longest_end_s for result in done), default=0.0):.1f} s"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.fault_rounds", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument(
        "--seed", type=int, default=SystemRandom().randrange(1_000_000), help="by default another each time"
    )
    parser.add_argument("--first", type=int, default=1, help="the number of the first round")
    parser.add_argument("--artifact-mb", type=float, default=200.0, help="of the large artifact of every second round")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
