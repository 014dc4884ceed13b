"""The stock client's writes against all peers in turns: python -m tests.benchmarks.in_turns.

The peers run at the same time, and each is asked for a few calls before it is the next one's turn, round after round.
So a machine whose speed drifts while one peer after the other is measured can't favour any of them.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

from tests.benchmarks.canned import RUN_ID
from tests.benchmarks.peers import PEERS, Peer
from tests.benchmarks.results import Result, check, table
from tests.benchmarks.shapes import START_MS, metric_value
from tests.benchmarks.whole_runs import create_whole_run

_PEERS = ("canned", "durable", "working", "folder", "services", "fasttrackml")
"""Not MLflow, whose fifteen processes take from the others also while nobody asks them."""
_POINTS = 1000
"""Of each log_batch."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """One peer, and what the client logs to."""

    peer: Peer
    client: MlflowClient
    experiment_id: str
    run_id: str


def _log_metric(asked: _Asked, number: int) -> None:
    asked.client.log_metric(asked.run_id, "loss", metric_value(number), timestamp=START_MS + number, step=number)


def _log_batch(asked: _Asked, number: int) -> None:
    steps = range(number * _POINTS, (number + 1) * _POINTS)
    asked.client.log_batch(asked.run_id, metrics=[Metric("acc", metric_value(n), START_MS + n, n) for n in steps])


def _create_run(asked: _Asked, number: int) -> None:
    create_whole_run(asked.client, asked.experiment_id, number)


_WORKS: tuple[tuple[str, Callable[[_Asked, int], None], int], ...] = (
    ("log_metric", _log_metric, 100),
    (f"log_batch, {_POINTS:,} points", _log_batch, 15),
    ("create a run, log 40 metrics, 20 params, 5 tags", _create_run, 60),
)
"""Each with how many calls make a turn."""


def measure(peers: Sequence[str], rounds: int, share: float) -> Iterator[Result]:
    """Give the rows of all peers.

    Args:
        peers: names in `PEERS`; the first is what the others are compared with.
        rounds: how often each has its turn, after one that is not counted.
        share: of the calls of a turn.
    """
    with contextlib.ExitStack() as stack:
        asked = [_begin(stack.enter_context(_running(name))) for name in peers]
        for row, work, calls in _WORKS:
            times_s = _timed(asked, work, max(1, round(calls * share)), rounds)
            for each in asked:
                of_peer = times_s[each.peer.name]
                yield Result(f"{row}: p50", each.peer.name, median(of_peer) * 1000, "ms")
                yield Result(f"{row}: mean", each.peer.name, fmean(of_peer) * 1000, "ms")
        for each in asked:
            if not each.peer.is_canned:
                wanted = (rounds + 1) * max(1, round(_WORKS[0][2] * share))
                found = len(each.client.get_metric_history(each.run_id, "loss"))
                check(found == wanted, each.peer.name, f"{found} of {wanted} points were logged")


@contextlib.contextmanager
def _running(name: str) -> Iterator[Peer]:
    with PEERS[name]() as blueprint, blueprint.running() as peer:
        yield peer


def _begin(peer: Peer) -> _Asked:
    client = MlflowClient(peer.url, registry_uri=peer.url)
    experiment_id = client.create_experiment("in turns")
    run_id = client.create_run(experiment_id).info.run_id
    return _Asked(peer, client, experiment_id, RUN_ID if peer.is_canned else run_id)


def _timed(
    asked: Sequence[_Asked], work: Callable[[_Asked, int], None], calls: int, rounds: int
) -> dict[str, list[float]]:
    times_s: dict[str, list[float]] = {each.peer.name: [] for each in asked}
    for round_ in range(rounds + 1):
        for each in asked:
            of_turn = []
            for call in range(calls):
                begun = time.perf_counter()
                work(each, round_ * calls + call)
                of_turn.append(time.perf_counter() - begun)
            if round_:
                times_s[each.peer.name] += of_turn
    return times_s


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.in_turns", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="check that it runs and that answers are right")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), help="all but MLflow by default; the first is 1×")
    options = parser.parse_args(arguments)
    peers = options.peers or _PEERS
    print(table(list(measure(peers, *((1, 0.05) if options.quick else (options.rounds, 1.0))))))


if __name__ == "__main__":
    main()
