"""The data that every peer is given: how many runs, points, keys and connections, and what a run looks like."""

from __future__ import annotations

from dataclasses import dataclass

RUN_METRICS, RUN_PARAMS, RUN_TAGS = 40, 20, 5
"""Of each run that is created and searched."""
START_MS = 1_700_000_000_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of each is done; the quick form checks results, so it does little of everything."""

    calls: int = 200
    batch_points: int = 1000
    runs: int = 1000
    history_points: int = 100_000
    searches: int = 10
    http_s: float = 10.0
    native_s: float = 60.0
    native_works: tuple[tuple[str, str], ...] = (
        ("narrow", "series"),
        ("narrow", "calls"),
        ("wide", "series"),
        ("wide", "calls"),
    )
    native_routes: tuple[str, ...] = ("http", "log")
    paced_works: tuple[tuple[str, str, int], ...] = (
        ("narrow", "series", 1_000_000),
        ("narrow", "calls", 300_000),
        ("wide", "calls", 150_000),
    )
    starts: int = 3
    doublings: int = 4
    growth_runs: int = 1000
    growth_wide_runs: int = 50
    growth_points: int = 62_500
    growth_keys: int = 500
    growth_times: int = 20
    series_points: tuple[int, ...] = (1_000_000, 10_000_000)
    series_blocks: int = 60_000
    search_runs: int = 10_000
    sdk_calls: int = 1_000_000
    sdk_peer_calls: int = 1_000
    sdk_calls_points: int = 2_000_000
    sdk_series_points: int = 8_000_000
    sdk_lag_points: int = 5_000_000
    sdk_processes: int = 8
    is_quick: bool = False

    @property
    def small_page(self) -> int:
        """How many runs the smaller search asks for."""
        return min(100, self.runs // 2)


FULL = Sizes()
QUICK = Sizes(
    calls=5,
    batch_points=100,
    runs=6,
    history_points=300,
    searches=1,
    http_s=0.2,
    native_s=0.1,
    native_works=(("narrow", "calls"),),
    paced_works=(("narrow", "calls", 20_000),),
    starts=1,
    doublings=1,
    growth_runs=12,
    growth_wide_runs=2,
    growth_points=300,
    growth_keys=10,
    growth_times=1,
    series_points=(3_000,),
    series_blocks=300,
    search_runs=50,
    sdk_calls=2_000,
    sdk_peer_calls=40,
    sdk_calls_points=200,
    sdk_series_points=20_000,
    sdk_lag_points=2_000,
    sdk_processes=2,
    is_quick=True,
)


def metric_value(number: int) -> float:
    """Return the value that point `number` of any series has."""
    return (number * 37 % 1000) / 1000


def metrics_of_run(run: int) -> list[tuple[str, float]]:
    """Return key and value of the metrics of run `run`."""
    return [(f"metric_{n:02}", metric_value(run + n)) for n in range(RUN_METRICS)]


def params_of_run(run: int) -> list[tuple[str, str]]:
    """Return key and value of the params of run `run`."""
    return [(f"param_{n:02}", f"value {run % 7 + n}") for n in range(RUN_PARAMS)]


def tags_of_run(run: int) -> list[tuple[str, str]]:
    """Return key and value of the tags of run `run`."""
    return [(f"tag_{n}", f"text {run % 5 + n}") for n in range(RUN_TAGS)]
