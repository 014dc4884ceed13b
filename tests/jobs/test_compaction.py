"""Compaction changes no answer, whatever came in which order, and survives whatever happens beside it."""

from __future__ import annotations

import contextlib
import math
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select

from mltrail_core.log import EventLog, open_log
from mltrail_core.metric_block import MetricPoint, block_of_points
from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_core.readmodel.tables import compaction_calls, metric_blocks, metric_chunks
from mltrail_core.series import (
    EVERYTHING,
    Series,
    Window,
    calls_for_compaction,
    joined,
    outline,
    read_history_page,
    read_loose,
    read_series,
    stream_series,
)
from mltrail_jobs import compaction, compaction_plan, compaction_step
from mltrail_jobs.compaction import Overtaken, compact_run
from mltrail_jobs.perform import perform, working_at
from mltrail_jobs.places import Places
from mltrail_jobs.watched_runs import last_written
from mltrail_projector.digest import digest_read_model
from mltrail_projector.loop import Projector, catch_up
from mltrail_projector.rebuild import rebuild
from tests.projector.producing import RUN, Producing
from tests.thorough import examples

KEYS = ("loss", "val/loss")
VALUES = (0.0, -0.0, 1.0, -1.0, math.nan, math.inf, 2.5)
WINDOWS = (Window(first_step=-1, last_step=3), Window(2, 9, 1, 5))


@pytest.fixture(params=["sqlite", "postgresql"])
def read_model_url(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    return str(tmp_path / "read") if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a handful of points be what tens of thousands are."""
    use_small_chunks(monkeypatch)


def use_small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mltrail_core.series.chunk.CHUNK_POINTS", 16)
    monkeypatch.setattr("mltrail_core.series.chunk.BUCKET_POINTS", 4)
    monkeypatch.setattr("mltrail_core.series.chunk.SHORT_POINTS", 9)
    monkeypatch.setattr("mltrail_core.series.stored.BUCKET_POINTS", 4)
    monkeypatch.setattr("mltrail_core.series.outlines.BUCKET_POINTS", 4)
    monkeypatch.setattr("mltrail_core.series.loose._SEARCHED_KEYS", 1)
    monkeypatch.setattr(compaction_plan, "FULL_POINTS", 8)
    monkeypatch.setattr(compaction_plan, "MOST_CHUNKS_TOUCHED", 2)
    monkeypatch.setattr(compaction_step, "MIN_CHUNK_POINTS", 3)
    monkeypatch.setattr(compaction_step, "MIN_POINTS_OF_MANY", 2)
    monkeypatch.setattr(compaction_step, "STEP_POINTS", 40)
    monkeypatch.setattr(compaction_step, "STEP_BLOCKS", 12)
    monkeypatch.setattr(compaction_step, "SMALL_POINTS", 4)


@dataclass
class Training:
    """A run whose points are appended to a log and projected, each call one block."""

    log: EventLog
    read_model: ReadModel
    projector: Projector
    producing: Producing = field(default_factory=Producing)

    def log_points(self, points: Sequence[MetricPoint]) -> None:
        if points:
            self.log.append([self.producing.of_run(block_of_points(points).to_event(RUN, 1))])
            while self.projector.project_some():
                pass


@contextlib.contextmanager
def training(folder: str | Path, read_model_url: str | None = None) -> Iterator[Training]:
    with (
        contextlib.closing(open_log(f"{folder}/log")) as log,
        contextlib.closing(open_read_model(read_model_url or f"{folder}/read")) as read_model,
    ):
        catch_up(log, read_model)
        yield Training(log, read_model, Projector(log, read_model))


def bits(series: Series) -> tuple[list[int], list[int], list[str]]:
    return series.steps.tolist(), series.times_us.tolist(), [repr(value) for value in series.values.tolist()]


def answers(read_model: ReadModel) -> list[object]:
    """Return what readers see of the run, but for outlines, which may have other buckets."""
    with read_model.reading() as connection:
        return [
            digest_read_model(connection).whole,
            last_written(connection, RUN),
            *([bits(read_series(connection, RUN, key, window)) for key in KEYS for window in WINDOWS]),
            *(bits(joined(list(stream_series(connection, RUN, key)))) for key in KEYS),
            *(
                bits(outline(connection, RUN, key, EVERYTHING, 99, loose).series)
                for key, loose in read_loose(connection, RUN, KEYS).items()
            ),
            *(history(connection, key, count) for key, count in zip(KEYS, (None, 15), strict=False)),
        ]


def history(connection: Connection, key: str, count: int | None) -> list[object]:
    pages = []
    start = 0
    while True:
        page = read_history_page(connection, RUN, key, start, count)
        start += len(page.points)
        pages.append(bits(page.points))
        if count is None or start >= page.total:
            return [page.total, *(list(column) for column in map(flat, zip(*pages, strict=True)))]


def flat(lists: tuple[list[object], ...]) -> list[object]:
    return [item for part in lists for item in part]


def assert_good_outline(read_model: ReadModel, key: str, window: Window, min_buckets: int) -> None:
    with read_model.reading() as connection:
        series = read_series(connection, RUN, key, window)
        found = outline(connection, RUN, key, window, min_buckets)
    assert found.total == len(series)
    wanted = list(zip(*bits(series), strict=True))
    seen = list(zip(*bits(found.series), strict=True))
    assert [point for point in wanted if point in set(seen)] == seen, "an outline has points of the series, in order"
    numbers = series.values[~np.isnan(series.values)]
    if len(series):
        assert (seen[0], seen[-1]) == (wanted[0], wanted[-1])
    if len(numbers):
        assert {numbers.min(), numbers.max()} <= set(found.series.values.tolist())


def chunks(read_model: ReadModel) -> list[dict[str, object]]:
    with read_model.reading() as connection:
        query = select(metric_chunks).order_by(
            metric_chunks.c.key, metric_chunks.c.first_step, metric_chunks.c.first_us
        )
        return [dict(row) for row in connection.execute(query).mappings()]


def assert_chunks_apart(read_model: ReadModel) -> None:
    found = chunks(read_model)
    for one, other in pairwise(found):
        if one["key"] == other["key"]:
            assert (one["last_step"], one["last_us"]) < (other["first_step"], other["first_us"])


POINTS = st.lists(
    st.builds(MetricPoint, st.sampled_from(KEYS), st.sampled_from(VALUES), st.integers(-2, 40), st.integers(0, 6)),
    max_size=14,
)
ACTS = st.lists(st.none() | POINTS, min_size=3, max_size=14)
"""None: compact a step."""


def check_interleaving(folder: str | Path, acts: Sequence[list[MetricPoint] | None], url: str | None = None) -> None:
    with training(folder, url) as run:
        for act in acts:
            if act is None:
                before = answers(run.read_model)
                compact_run(run.read_model, RUN)
                assert answers(run.read_model) == before
                assert_chunks_apart(run.read_model)
            else:
                run.log_points(act)
        while not compact_run(run.read_model, RUN).is_done:
            pass
        for key in KEYS:
            for window in (EVERYTHING, *WINDOWS):
                for min_buckets in (1, 3):
                    assert_good_outline(run.read_model, key, window, min_buckets)
        if url is not None:
            assert rebuild(run.log, run.read_model).is_equal


@settings(max_examples=examples(2, 4), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ACTS)
def test_no_reader_sees_whether_points_were_compacted(acts: list[list[MetricPoint] | None]) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        use_small_chunks(patched)
        check_interleaving(folder, acts)


@pytest.mark.usefixtures("small_chunks")
def test_no_reader_sees_whether_points_were_compacted_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    random = Random(5)
    acts: list[list[MetricPoint] | None] = []
    for _ in range(3):
        for _ in range(random.randrange(1, 5)):
            acts.append(
                [
                    MetricPoint(random.choice(KEYS), random.choice(VALUES), random.randrange(60), random.randrange(7))
                    for _ in range(random.randrange(1, 14))
                ]
            )
        acts.append(None)
    check_interleaving(tmp_path, acts, postgres_url)


def steps(first: int, last: int, key: str = "loss") -> list[MetricPoint]:
    return [MetricPoint(key, math.sin(step), step, 1_000_000 * step) for step in range(first, last)]


def compact_all(read_model: ReadModel) -> None:
    while not compact_run(read_model, RUN).is_done:
        pass


def count_blocks(read_model: ReadModel) -> int:
    with read_model.reading() as connection:
        return connection.execute(select(func.count()).select_from(metric_blocks)).scalar_one()


def test_a_long_series_rests_in_few_chunks_that_are_seldom_rewritten(tmp_path: Path, small_chunks: None) -> None:
    with training(tmp_path) as run:
        rewritten = 0
        for step in range(0, 200, 8):
            run.log_points(steps(step, step + 8))
            before = {row["number"]: row["point_count"] for row in chunks(run.read_model)}
            compact_all(run.read_model)
            after = {row["number"] for row in chunks(run.read_model)}
            rewritten += sum(int(str(before[number])) for number in before.keys() - after)
        counts = [row["point_count"] for row in chunks(run.read_model)]
        assert sum(int(str(count)) for count in counts) == 200
        assert len(counts) <= 200 // 8 + 4
        assert rewritten <= 200 * 3
        assert count_blocks(run.read_model) <= 2
        with run.read_model.reading() as connection:
            assert bits(read_series(connection, RUN, "loss"))[0] == list(range(200))


def test_metrics_with_few_points_are_kept_together(
    tmp_path: Path, small_chunks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction_step, "STEP_POINTS", 1000)
    with training(tmp_path) as run:
        for step in range(2):
            keys = [f"key {number}" for number in range(20)] + ["loss"] * 4
            run.log_points([MetricPoint(key, 1.0, 10 * step + place, 1) for place, key in enumerate(keys)])
        compact_run(run.read_model, RUN)
        assert {row["key"] for row in chunks(run.read_model)} == {"loss"}
        assert count_blocks(run.read_model) == 1


def test_of_two_compactions_at_once_one_gives_way(
    tmp_path: Path, small_chunks: None, monkeypatch: pytest.MonkeyPatch, read_model_url: str
) -> None:
    with training(tmp_path, read_model_url) as run:
        for step in range(0, 24, 4):
            run.log_points(steps(step, step + 4))
        before = answers(run.read_model)
        plan = compaction_step.plan_step

        def overtaken(connection: Connection, run_id: str) -> compaction_step.Change | None:
            planned = plan(connection, run_id)
            monkeypatch.setattr(compaction, "plan_step", plan)
            assert compact_run(run.read_model, RUN).blocks
            return planned

        monkeypatch.setattr(compaction, "plan_step", overtaken)
        with pytest.raises(Overtaken):
            compact_run(run.read_model, RUN)
        assert answers(run.read_model) == before


def test_points_that_come_while_a_run_is_compacted_are_kept(
    tmp_path: Path, small_chunks: None, monkeypatch: pytest.MonkeyPatch, read_model_url: str
) -> None:
    with training(tmp_path, read_model_url) as run:
        run.log_points(steps(0, 9))
        plan = compaction_step.plan_step

        def interrupted(connection: Connection, run_id: str) -> compaction_step.Change | None:
            planned = plan(connection, run_id)
            run.log_points(steps(5, 14))
            return planned

        monkeypatch.setattr(compaction, "plan_step", interrupted)
        assert compact_run(run.read_model, RUN).chunks
        with run.read_model.reading() as connection:
            assert bits(read_series(connection, RUN, "loss"))[0] == list(range(14))
        assert rebuild(run.log, run.read_model).is_equal


def test_a_compaction_that_dies_in_its_transaction_leaves_everything(
    tmp_path: Path, small_chunks: None, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    with training(tmp_path, postgres_url) as run:
        run.log_points(steps(0, 40))
        before = answers(run.read_model)

        def dies(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(compaction, "insert", dies)
            with pytest.raises(KeyboardInterrupt):
                compact_run(run.read_model, RUN)
        assert answers(run.read_model) == before
        assert chunks(run.read_model) == []
        assert compact_run(run.read_model, RUN).chunks
        assert answers(run.read_model) == before


def test_no_compaction_commits_while_a_digest_is_taken(tmp_path: Path, small_chunks: None, postgres_url: str) -> None:
    with training(tmp_path, postgres_url) as run:
        run.log_points(steps(0, 40))
        with run.read_model.writing(1) as connection:
            before = digest_read_model(connection)
            with pytest.raises(Overtaken, match="digest"):
                compact_run(run.read_model, RUN)
            assert digest_read_model(connection) == before
        assert compact_run(run.read_model, RUN).chunks


def test_late_points_are_put_into_the_chunks_they_belong_to_once_they_are_worth_it(
    tmp_path: Path, small_chunks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction_plan, "MOST_REWRITTEN", 8)
    with training(tmp_path) as run:
        run.log_points(steps(0, 200, "loss")[::2])
        compact_all(run.read_model)
        numbers = {row["number"] for row in chunks(run.read_model)}
        run.log_points([*steps(1, 2), *steps(99, 100), *steps(199, 200)])
        compact_all(run.read_model)
        assert {row["number"] for row in chunks(run.read_model)} == numbers, "three points do not move a hundred"
        run.log_points(steps(0, 200)[3::6])
        compact_all(run.read_model)
        assert_chunks_apart(run.read_model)
        assert {row["number"] for row in chunks(run.read_model)}.isdisjoint(numbers)
        with run.read_model.reading() as connection:
            expected = {*range(0, 200, 2), 1, 99, 199, *range(3, 200, 6)}
            assert bits(read_series(connection, RUN, "loss"))[0] == sorted(expected)


def test_the_job_compacts_the_runs_that_blocks_called_for(tmp_path: Path, small_chunks: None) -> None:
    with training(tmp_path) as run:
        blocks = 0
        while not calls(run.read_model):
            run.log_points(steps(blocks, blocks + 1))
            blocks += 1
            assert blocks < 64 * 20, "one block in 64 calls for compaction"
        places = Places(run.log.url, run.read_model.url, str(tmp_path / "artifacts"))
        before = answers(run.read_model)
        with working_at(places, threading.Event()):
            assert perform("compact_metrics", [])["blocks"] >= blocks
            assert calls(run.read_model) == 0
            assert answers(run.read_model) == before
            assert perform("compact_metrics", []) == {"blocks": 0, "chunks": 0}


def calls(read_model: ReadModel) -> int:
    with read_model.reading() as connection:
        return connection.execute(select(func.count()).select_from(compaction_calls)).scalar_one()


def test_large_blocks_always_call_and_small_ones_now_and_then() -> None:
    assert all(calls_for_compaction(RUN, index, 20_000) for index in range(100))
    assert 40 < sum(calls_for_compaction(RUN, index, 1) for index in range(64 * 64)) < 90
    assert [calls_for_compaction(RUN, index, 9) for index in range(99)] == [
        calls_for_compaction(RUN, index, 9) for index in range(99)
    ]


_COMPACT = """
import sys
from mltrail_core.readmodel.store import open_read_model
from mltrail_jobs import compaction_step
from mltrail_jobs.compaction import compact_run
compaction_step.STEP_BLOCKS, compaction_step.MIN_CHUNK_POINTS = 3, 2
read_model = open_read_model(sys.argv[1])
while True:
    compact_run(read_model, sys.argv[2])
"""


def test_a_killed_compaction_leaves_what_the_log_gives_again(tmp_path: Path) -> None:
    with training(tmp_path) as run:
        for step in range(0, 120, 3):
            run.log_points(steps(step, step + 3))
        before = answers(run.read_model)
        compacting = subprocess.Popen([sys.executable, "-c", _COMPACT, str(tmp_path / "read"), RUN])
        try:
            deadline = time.monotonic() + 60
            while len(chunks(run.read_model)) < 2 and time.monotonic() < deadline:
                assert compacting.poll() is None
                threading.Event().wait(0.02)
        finally:
            compacting.kill()
            compacting.wait()
        assert count_blocks(run.read_model) > 1, "it was killed while there was more to do"
        assert answers(run.read_model) == before
        compact_all(run.read_model)
        assert answers(run.read_model) == before
        assert rebuild(run.log, run.read_model).is_equal
