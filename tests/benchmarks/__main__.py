"""`python -m tests.benchmarks [ROWS …] [--peers …] [--quick]`: starts the peers one by one, and prints tables."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from tests.benchmarks import (
    client_rows,
    growth_rows,
    http_rows,
    native_rows,
    paced_rows,
    sdk_rows,
    search_rows,
    series_rows,
    start_rows,
)
from tests.benchmarks.load import driver
from tests.benchmarks.peers import PEERS, Blueprint
from tests.benchmarks.results import Result, table
from tests.benchmarks.shapes import FULL, QUICK, RUN_METRICS, RUN_PARAMS, RUN_TAGS, Sizes

START, GROWTH, SDK = "start", "growth", "sdk"
ROWS = {
    "client": client_rows.measure,
    "http": http_rows.measure,
    "native": native_rows.measure,
    "paced": paced_rows.measure,
    GROWTH: growth_rows.measure,
    "series": series_rows.measure,
    "search": search_rows.measure,
}


def main(arguments: Sequence[str]) -> None:
    """Measure what the arguments ask for, and print a table for each family of rows.

    Raises:
        WrongAnswer: a peer answered something else than what was logged.
        ServerFailed: a peer did not start.
    """
    options = _parser().parse_args(arguments)
    sizes = QUICK if options.quick else FULL
    if options.native_s is not None:
        sizes = replace(sizes, native_s=options.native_s)
    if options.native_routes is not None:
        sizes = replace(sizes, native_routes=tuple(options.native_routes))
    if options.runs is not None:
        sizes = replace(sizes, runs=options.runs)
    if options.search_runs is not None:
        sizes = replace(sizes, search_runs=options.search_runs)
    print(_heading(sizes))
    families = options.rows or (*ROWS, START, SDK)
    results: dict[str, list[Result]] = defaultdict(list)
    peers = options.peers or (["folder", "canned"] if options.quick else list(PEERS))
    for peer in peers if set(families) != {SDK} else []:
        with PEERS[peer]() as blueprint:
            print(f"- {blueprint.name}: acknowledges after {blueprint.ack}", flush=True)
            for family, result in _measured(families, blueprint, sizes):
                # The columns of growth are sizes, so each peer has a table of its own.
                results[f"{family}: {blueprint.name}" if family == GROWTH else family].append(result)
                print(f"    {result.row}: {result.value:.4g} {result.unit}", file=sys.stderr, flush=True)
    if SDK in families:
        for result in sdk_rows.measure(sizes, options.clients or sdk_rows.COLUMNS):
            results[SDK].append(result)
            print(f"    {result.peer}: {result.row}: {result.value:.4g} {result.unit}", file=sys.stderr, flush=True)
    for family, found in results.items():
        print(f"\n### {family}\n\n{table(found)}")


def _measured(families: Sequence[str], blueprint: Blueprint, sizes: Sizes) -> Iterator[tuple[str, Result]]:
    """Give the rows of one peer: those of starting on data that is empty still, then the others on one server."""
    if START in families:
        yield from ((START, result) for result in start_rows.measure(blueprint, sizes.starts))
    others = [family for family in families if family not in (START, SDK)]
    if others:
        with blueprint.running() as peer:
            for family in others:
                yield from ((family, result) for result in ROWS[family](peer, sizes))


def _heading(sizes: Sizes) -> str:
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} × {_processor()}, load {os.getloadavg()[0]:.1f} at "
        f"the start, Python {platform.python_version()}, HTTP by {driver()}. Runs have {RUN_METRICS} metrics, "
        f"{RUN_PARAMS} params and {RUN_TAGS} tags; {sizes.native_s:g} s for each native and each paced row. "
        f"The rows of search are about {sizes.search_runs:,} runs, of which the projector wrote the first and the rest "
        "are copies of it in SQL. A ratio says how many times as good the first column is.\n"
    )


def _processor() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "rows", nargs="*", metavar="ROWS", choices=[[], *ROWS, START, SDK], help="families; all by default"
    )
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), help="all by default")
    parser.add_argument("--clients", nargs="+", choices=sdk_rows.COLUMNS, help="of the rows of the SDK; all by default")
    parser.add_argument("--quick", action="store_true", help="check that it runs and that answers are right")
    parser.add_argument("--runs", type=int, help="runs that are created and searched")
    parser.add_argument("--search-runs", type=int, help="runs that the rows of search are about")
    parser.add_argument("--native-s", type=float, help="seconds of each native and each paced row")
    parser.add_argument(
        "--native-routes", nargs="+", choices=FULL.native_routes, help="how native rows reach the log; both by default"
    )
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
