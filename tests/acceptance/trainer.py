"""A trainer as users write them: `python -m tests.acceptance.trainer URI NAME POINTS ROUNDS` logs a known sequence.

It prints its run's id before it ends, and ends with status 0 only when everything was acknowledged.
"""

from __future__ import annotations

import sys
import time

import mltrail

EXPERIMENT = "faults"
KEYS = ("loss", "acc", "val/loss")
PAUSE_S = 0.2


def value_of(name: str, key: str, step: int) -> float:
    """Return what trainer `name` logs for `key` at `step`: the test knows it without asking."""
    return (len(key) * 1_000_003 + int(name) * 7919 + step * 31) % 100_003 / 7.0


def train(uri: str, name: str, points: int, rounds: int) -> None:
    """Log `points` points in `rounds` bursts: a third each by calls, by dicts and by series."""
    mltrail.init(
        uri, exit_timeout_s=240.0, block_timeout_s=120.0, record_environment=False, system_metrics_interval_s=0
    )
    steps_a_round = points // len(KEYS) // rounds
    with mltrail.start_run(experiment=EXPERIMENT, name=f"trainer-{name}") as run:
        run.log_param("trainer", name)
        run.log_param("points", points)
        for number in range(rounds):
            steps = range(number * steps_a_round, (number + 1) * steps_a_round)
            for step in steps:
                run.log_metric(KEYS[0], value_of(name, KEYS[0], step), step=step)
                run.log_metrics({KEYS[1]: value_of(name, KEYS[1], step)}, step=step)
            run.log_series(KEYS[2], list(steps), [value_of(name, KEYS[2], step) for step in steps])
            run.set_tag("round", number)
            time.sleep(PAUSE_S)
    print(run.id, flush=True)


if __name__ == "__main__":
    train(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
