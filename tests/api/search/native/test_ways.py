"""Every way that a native search can take through the indexes finds what a look at each run finds, page by page."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mltrail_api.search.expression import ViewType
from mltrail_api.search.native.condition import native_conditions
from mltrail_api.search.native.order import parse_order
from mltrail_api.search.native.parse import parse_filter
from mltrail_api.search.run_walk import Effort
from mltrail_api.search.runs import find_runs
from mltrail_core.readmodel.store import ReadModel
from mltrail_core.readmodel.tables import lost_runs, metric_summaries
from tests.api.search.sample import EXPERIMENT_ID, SampleRun, fill

_EFFORTS = (
    Effort(),  # so few runs are sorted
    Effort(few_runs=0, rare_runs=0, first_rows=1000),  # walked to the end
    Effort(few_runs=0, rare_runs=0, first_rows=3, counted_runs=12, walked_rows=1000),
    Effort(few_runs=0, rare_runs=0, first_rows=2, counted_runs=0, walked_rows=6),
    Effort(few_runs=0, rare_runs=0, first_rows=1, counted_runs=1000, walked_rows=0),  # sets of ids
)
_LONG = "x" * 256
"""As much of a name as PostgreSQL has in its index."""


@dataclass(frozen=True, slots=True)
class _Run:
    """What a run is sorted and filtered by; None where it lacks it."""

    run_id: str
    started_us: int
    ended_us: int | None
    name: str
    status: str
    param: str | None
    least: float | None
    greatest: float | None
    has_metric: bool

    @property
    def duration_us(self) -> int | None:
        return None if self.ended_us is None else self.ended_us - self.started_us


def _runs(chance: random.Random, count: int) -> list[_Run]:
    made = []
    for number in range(count):
        started_us, has_metric, is_nan = chance.randrange(6) * 1000, chance.random() < 0.8, chance.random() < 0.2
        least, greatest = sorted((chance.randrange(5) / 4, chance.randrange(5) / 4))
        has_number = has_metric and not is_nan
        made.append(
            _Run(
                f"{number:032x}",
                started_us,
                chance.choice((None, started_us + chance.randrange(3) * 1000)),
                chance.choice(("a", "b", _LONG, _LONG + "b", _LONG + "a")),
                chance.choice(("RUNNING", "FINISHED", "FAILED", "KILLED", "LOST")),
                chance.choice((None, "1", "2", "2")),
                least if has_number else None,
                greatest if has_number else None,
                has_metric,
            )
        )
    return made


def _write(read_model: ReadModel, made: Sequence[_Run]) -> None:
    fill(
        read_model,
        [
            SampleRun(
                run.run_id,
                name=run.name,
                status="RUNNING" if run.status == "LOST" else run.status,
                started_us=run.started_us,
                ended_us=run.ended_us,
                params={} if run.param is None else {"p": run.param},
                metrics={"x": 0.5} if run.has_metric else {},
            )
            for run in made
        ],
    )
    row = {"last_seen_us": 1, "lease_s": 1, "lost_us": 1, "index": 1}
    lost = [row | {"run_id": run.run_id} for run in made if run.status == "LOST"]
    with read_model.writing(read_model.live_generation()) as connection:
        connection.execute(lost_runs.delete())
        connection.execute(lost_runs.insert(), lost)
        for run in made:
            least = metric_summaries.update().where(metric_summaries.c.run_id == run.run_id)
            connection.execute(least.values(min_value=run.least, max_value=run.greatest))


def _told_status(run: _Run) -> str:
    return "FAILED" if run.status == "LOST" else run.status


_FILTERS: dict[str, Callable[[_Run], bool]] = {
    "": lambda run: True,
    "params.p = '2' AND metrics.x.min <= 0.5": lambda run: (
        run.param == "2" and run.least is not None and run.least <= 0.5
    ),
    "metrics.x.max > 0.5 AND metrics.x.min < 0.5": lambda run: (
        run.greatest is not None and run.least is not None and run.greatest > 0.5 and run.least < 0.5
    ),
    "(params.p = '1' OR metrics.x.min = 0) AND status != 'KILLED'": lambda run: (
        (run.param == "1" or run.least == 0) and run.status != "KILLED"
    ),
    "status = 'FAILED' AND params.p IS NOT NULL": lambda run: _told_status(run) == "FAILED" and run.param is not None,
    "(status = 'FINISHED' OR params.p LIKE '1%') AND metrics.x IS NOT NULL": lambda run: (
        (run.status == "FINISHED" or run.param == "1") and run.has_metric
    ),
    "metrics.x.min > 0.5 AND metrics.x.max < 0.5": lambda run: False,
}
_SORT_KEYS: dict[str, Callable[[_Run], float | str | None]] = {
    "metrics.x.min": lambda run: run.least,
    "metrics.x.max": lambda run: run.greatest,
    "duration": lambda run: run.duration_us,
    "end_time": lambda run: run.ended_us,
    "run_name": lambda run: run.name,
    "status": _told_status,
}


def _sorted(found: list[_Run], key: str, *, is_ascending: bool) -> list[str]:
    """Return the ids in order: those with a value, NaN, those without the metric; the newest first among equals."""
    value_of = _SORT_KEYS[key]
    by_start = sorted(sorted(found, key=lambda run: run.run_id), key=lambda run: -run.started_us)
    there = [run for run in by_start if value_of(run) is not None]
    there.sort(key=lambda run: value_of(run) or 0, reverse=not is_ascending) if key not in ("run_name", "status") else (
        there.sort(key=lambda run: str(value_of(run)), reverse=not is_ascending)
    )
    missing = [run for run in by_start if value_of(run) is None]
    if key.startswith("metrics"):
        missing.sort(key=lambda run: not run.has_metric)
    return [run.run_id for run in (*there, *missing)]


def _pages(read_model: ReadModel, asked: str, order_by: str, size: int, effort: Effort) -> list[str]:
    found: list[str] = []
    token = None
    while True:
        with read_model.reading() as connection:
            conditions = native_conditions(connection, parse_filter(asked))
            page = find_runs(
                *(connection, [EXPERIMENT_ID], conditions, ViewType.ALL, size, parse_order([order_by]), token, effort)
            )
        found += page.run_ids
        token = page.next_page_token
        if token is None:
            return found


def test_each_way_finds_what_a_look_at_every_run_finds(read_model: ReadModel) -> None:
    chance = random.Random(1)
    made = _runs(chance, 24)
    _write(read_model, made)
    for asked, matches in _FILTERS.items():
        for key in _SORT_KEYS:
            effort, is_ascending = chance.choice(_EFFORTS), chance.random() < 0.5
            order_by = f"{key} {'ASC' if is_ascending else 'DESC'}"
            expected = _sorted([run for run in made if matches(run)], key, is_ascending=is_ascending)
            size = chance.choice((4, 9, 40))
            assert _pages(read_model, asked, order_by, size, effort) == expected, (asked, order_by, size, effort)
