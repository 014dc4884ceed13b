"""What training code logs into a folder is what the read model holds."""

from __future__ import annotations

import asyncio
import math
import threading
from pathlib import Path

import numpy as np
import pytest

import mltrail
from mltrail_core.ids import partition_of
from tests.sdk.projected import ProjectedLog


def test_everything_a_run_logs_arrives_once_and_nothing_is_missing(folder: Path, projected: ProjectedLog) -> None:
    mltrail.init(folder)
    with mltrail.start_run(experiment="iris", name="gbm", tags={"team": "vision"}) as run:
        run.log_param("lr", 0.1)
        run.log_params({"depth": 3, "loss/name": "log"})
        run.log_metric("loss", 0.5, step=1)
        run.log_metrics({"acc": 0.9, "f1": 0.8}, step=1)
        run.log_metric("loss", math.inf, step=2)
        run.set_tag("stage", "first")
        run.set_tags({"stage": "second", "ünïcode 日本": "値"})
    row = projected.run(run.id)
    assert (row["name"], row["status"]) == ("gbm", "FINISHED")
    assert isinstance(row["ended_us"], int)
    assert isinstance(row["started_us"], int)
    assert row["ended_us"] >= row["started_us"]
    assert {"experiment_id": row["experiment_id"], "name": "iris"}.items() <= {
        k: v for r in projected.rows("experiments") if r["name"] == "iris" for k, v in r.items()
    }.items()
    assert projected.params(run.id) == {"lr": "0.1", "depth": "3", "loss/name": "log"}
    assert [(p.key, p.value, p.step) for p in projected.points(run.id)] == [
        ("loss", 0.5, 1),
        ("acc", 0.9, 1),
        ("f1", 0.8, 1),
        ("loss", math.inf, 2),
    ]
    assert {"team": "vision", "stage": "second", "ünïcode 日本": "値"}.items() <= projected.tags(run.id).items()
    projected.assert_complete(run.id)


def test_a_run_records_where_it_ran(folder: Path, projected: ProjectedLog) -> None:
    mltrail.init(folder)
    with mltrail.start_run() as run:
        pass
    tags = projected.tags(run.id)
    assert tags["mlflow.source.type"] == "LOCAL"
    assert tags["mlflow.user"] == projected.run(run.id)["user"]
    assert tags["mlflow.source.name"]
    assert tags["mltrail.entry_point"]


def test_a_run_that_names_no_experiment_goes_to_the_default_one(folder: Path, projected: ProjectedLog) -> None:
    mltrail.init(folder)
    with mltrail.start_run() as run:
        pass
    assert projected.run(run.id)["experiment_id"] == "0"
    assert [row["name"] for row in projected.rows("experiments")] == ["Default"]


def test_the_experiment_of_init_is_taken_when_the_run_names_none(folder: Path, projected: ProjectedLog) -> None:
    mltrail.init(folder, experiment="cifar")
    with mltrail.start_run() as first:
        pass
    with mltrail.start_run() as second:
        pass
    ids = {row["name"]: row["experiment_id"] for row in projected.rows("experiments")}
    assert projected.run(first.id)["experiment_id"] == ids["cifar"] == projected.run(second.id)["experiment_id"]


def test_the_uri_comes_from_the_environment(
    folder: Path, projected: ProjectedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLTRAIL_URI", str(folder))
    monkeypatch.setenv("MLTRAIL_EXPERIMENT", "from outside")
    with mltrail.start_run() as run:
        pass
    assert projected.run(run.id)["status"] == "FINISHED"
    assert "from outside" in [row["name"] for row in projected.rows("experiments")]


def test_init_says_once_where_data_goes_and_how_to_see_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mltrail.init(folder)
    mltrail.init(folder)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"mltrail server --data {folder}" in said


def test_numbers_of_other_libraries_are_numbers(folder: Path, projected: ProjectedLog) -> None:
    class Scalar:
        def __float__(self) -> float:
            return 0.25

    mltrail.init(folder)
    with mltrail.start_run() as run:
        run.log_metric("a", np.float32(0.5), step=np.int64(3))  # type: ignore[arg-type]
        run.log_metric("a", 1, step=4.0)  # type: ignore[arg-type]
        run.log_metric("a", True, step=5)
        run.log_metric("a", Scalar(), step=6)  # type: ignore[arg-type]
        run.log_metric("a", np.array(0.125), step=7)  # type: ignore[arg-type]
    assert [(p.step, p.value) for p in projected.points(run.id)] == [(3, 0.5), (4, 1), (5, 1), (6, 0.25), (7, 0.125)]


@pytest.mark.parametrize(
    ("key", "value", "step", "error", "message"),
    [
        ("loss", "0.5", 0, TypeError, "should be a number"),
        ("loss", None, 0, TypeError, "should be a number"),
        ("loss", [1.0], 0, TypeError, "should be a number"),
        ("loss", np.zeros(3), 0, TypeError, "should be one number"),
        ("loss", 10**400, 0, ValueError, "64-bit float"),
        ("loss", 0.5, math.nan, ValueError, "whole number"),
        ("loss", 0.5, 1.5, ValueError, "whole number"),
        ("loss", 0.5, "1", TypeError, "step should be an integer"),
        ("loss", 0.5, 2**63, ValueError, "does not fit 64 bits"),
        ("k" * 251, 0.5, 0, ValueError, "251 characters"),
        ("", 0.5, 0, ValueError, "empty"),
        ("a?b", 0.5, 0, ValueError, "may only hold"),
        (7, 0.5, 0, TypeError, "should be a str"),
        (["loss"], 0.5, 0, TypeError, "should be a str"),
    ],
)
def test_a_wrong_metric_raises_at_the_call_and_is_not_logged(
    folder: Path,
    projected: ProjectedLog,
    key: object,
    value: object,
    step: object,
    error: type[Exception],
    message: str,
) -> None:
    mltrail.init(folder)
    with mltrail.start_run() as run:
        with pytest.raises(error, match=message):
            run.log_metric(key, value, step)  # type: ignore[arg-type]
        if not isinstance(key, list):
            with pytest.raises(error, match=message):
                run.log_metrics({"fine": 1.0, key: value}, step)  # type: ignore[dict-item, arg-type]
    assert projected.rows("metric_blocks") == []


def test_wrong_params_tags_and_names_raise_at_the_call(folder: Path) -> None:
    mltrail.init(folder)
    with pytest.raises(ValueError, match="experiment's name"):
        mltrail.start_run(experiment="x" * 501)
    with pytest.raises(ValueError, match="not the id of a run"):
        mltrail.start_run(run_id="no run")
    with mltrail.start_run() as run:
        with pytest.raises(ValueError, match="6001 characters"):
            run.log_param("long", "x" * 6001)
        with pytest.raises(ValueError, match="8001 characters"):
            run.set_tag("long", "x" * 8001)
        with pytest.raises(ValueError, match="not valid text"):
            run.set_tag("half", "\ud800")
        with pytest.raises(ValueError, match="expected one of FINISHED"):
            run.end("DONE")
    with pytest.raises(ValueError, match="expected http://"):
        mltrail.init("ftp://host")


def test_log_series_takes_any_sequence_and_splits_it_into_records(folder: Path, projected: ProjectedLog) -> None:
    class Tensor:
        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
            return np.arange(3, dtype=np.float32)

    mltrail.init(folder)
    with mltrail.start_run() as run:
        values = np.random.default_rng(0).normal(size=50_000)
        sent = values.copy()
        run.log_series("long", np.arange(50_000), values)
        values[:] = 0  # what was logged is what was there at the call
        run.log_series("list", [3, 1, 2], [0.5, math.nan, 1])
        run.log_series("tensor", range(3), Tensor(), times_us=[7, 8, 9])
        run.log_series("empty", [], [])
    assert projected.values(run.id, "long") == sent.tolist()
    points = projected.points(run.id)
    assert [(p.step, p.value) for p in points if p.key == "list" and p.step != 1] == [(3, 0.5), (2, 1.0)]
    assert [(p.step, p.value, p.time_us) for p in points if p.key == "tensor"] == [(0, 0, 7), (1, 1, 8), (2, 2, 9)]
    assert not [p for p in points if p.key == "empty"]
    records = [row for row in projected.rows("producers") if row["partition"] == partition_of(run.id)]
    assert int(str(records[0]["last_sequence"])) >= 3
    projected.assert_complete(run.id)


@pytest.mark.parametrize(
    ("steps", "values", "error", "message"),
    [
        ([1, 2], [1.0], ValueError, "one length"),
        ([0.5], [1.0], ValueError, r"steps\[0\] is 0.5"),
        ([math.nan], [1.0], ValueError, "whole number"),
        ([2**63], [1.0], ValueError, "does not fit 64 bits"),
        ([1], ["a"], TypeError, "should be numbers"),
        ([1], [[1.0]], ValueError, "one-dimensional"),
        ([1], [1j], TypeError, "should be numbers"),
        ([1], [None], TypeError, "should be numbers"),
    ],
)
def test_a_wrong_series_raises_at_the_call(
    folder: Path, steps: object, values: object, error: type[Exception], message: str
) -> None:
    mltrail.init(folder)
    with mltrail.start_run() as run, pytest.raises(error, match=message):
        run.log_series("s", steps, values)


def test_64_threads_log_to_one_run_and_every_point_arrives(folder: Path, projected: ProjectedLog) -> None:
    mltrail.init(folder)
    with mltrail.start_run() as run:

        def work(number: int) -> None:
            for step in range(500):
                mltrail.log_metric(f"m{number}", float(step), step)
            mltrail.log_param(f"p{number}", number)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    by_key: dict[str, list[float]] = {}
    for point in projected.points(run.id):
        by_key.setdefault(point.key, []).append(point.value)
    assert by_key == {f"m{number}": [float(step) for step in range(500)] for number in range(64)}
    assert projected.params(run.id) == {f"p{number}": str(number) for number in range(64)}
    projected.assert_complete(run.id)


def test_each_thread_and_each_task_acts_on_the_run_that_it_started(folder: Path, projected: ProjectedLog) -> None:
    mltrail.init(folder)
    barrier = threading.Barrier(4)
    ids: dict[str, str] = {}

    def in_thread(name: str) -> None:
        with mltrail.start_run(name=name) as run:
            barrier.wait(10)
            mltrail.log_param("who", name)
            ids[name] = run.id

    async def in_task(name: str) -> None:
        with mltrail.start_run(name=name) as run:
            await asyncio.sleep(0)
            mltrail.log_param("who", name)
            ids[name] = run.id

    async def tasks() -> None:
        await asyncio.gather(*(in_task(f"task {number}") for number in range(4)))

    threads = [threading.Thread(target=in_thread, args=(f"thread {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asyncio.run(tasks())
    assert {name: projected.params(run_id) for name, run_id in ids.items()} == {name: {"who": name} for name in ids}


def test_module_functions_without_a_run_say_how_to_begin_one(folder: Path) -> None:
    mltrail.init(folder)
    with pytest.raises(ValueError, match=r"mltrail\.start_run"):
        mltrail.log_metric("loss", 1.0)
    with mltrail.start_run() as outer:
        with mltrail.start_run() as inner:
            assert mltrail.active_run() is inner
        assert mltrail.active_run() is outer
    assert mltrail.active_run() is None


def test_a_second_writer_joins_a_run_and_does_not_end_it(folder: Path, projected: ProjectedLog) -> None:
    mltrail.init(folder)
    owner = mltrail.start_run(name="owner")
    assert owner.flush()
    joined = mltrail.start_run(run_id=owner.id)
    joined.log_metric("from the other", 1.0)
    joined.end()
    assert projected.run(owner.id)["status"] == "RUNNING"
    owner.log_metric("from the owner", 1.0)
    owner.end()
    assert projected.run(owner.id)["status"] == "FINISHED"
    assert {point.key for point in projected.points(owner.id)} == {"from the other", "from the owner"}
    projected.assert_complete(owner.id, producer_count=2)


def test_the_first_run_of_a_process_joins_the_one_in_the_environment(
    folder: Path, projected: ProjectedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    mltrail.init(folder)
    owner = mltrail.start_run()
    assert owner.flush()
    monkeypatch.setenv("MLTRAIL_RUN_ID", owner.id)
    monkeypatch.setenv("RANK", "3")
    mltrail.init(folder)
    with mltrail.start_run() as joined:
        joined.log_param("rank", 3)
    with mltrail.start_run() as other:
        pass
    assert joined.id == owner.id != other.id
    owner.end()
    assert projected.params(owner.id) == {"rank": "3"}
    assert {row["rank"] for row in projected.rows("producers") if row["run_id"] == owner.id} == {0, 3}


def test_a_resumed_run_runs_again_and_ends_with_the_process_that_resumed_it(
    folder: Path, projected: ProjectedLog
) -> None:
    mltrail.init(folder)
    with mltrail.start_run() as first:
        first.end("FAILED")
    second = mltrail.start_run(run_id=first.id, resume=True)
    assert second.flush()
    assert projected.run(first.id)["status"] == "RUNNING"
    second.end()
    assert projected.run(first.id)["status"] == "FINISHED"


def test_what_is_logged_after_the_end_is_counted_not_raised(
    folder: Path, projected: ProjectedLog, caplog: pytest.LogCaptureFixture
) -> None:
    mltrail.init(folder)
    with mltrail.start_run() as run:
        run.log_metric("loss", 1.0)
    run.log_metric("loss", 2.0)
    run.log_param("late", 1)
    run.end()
    with mltrail.start_run() as other:
        other.log_metric("loss", 3.0)
    assert "their run had ended" in caplog.text
    assert projected.values(run.id, "loss") == [1.0]
    assert projected.params(run.id) == {}


def test_a_full_buffer_blocks_once_then_drops_and_says_so(
    folder: Path, projected: ProjectedLog, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    mltrail.init(folder, block_timeout_s=0.05)
    session = mltrail._fluent.current_session()
    monkeypatch.setattr(session.outbox, "has_room", lambda: False)  # as during an outage
    monkeypatch.setattr(session.buffer, "_max_points", 100)
    with mltrail.start_run() as run:
        session.buffer.mark = 100
        for step in range(150):
            run.log_metric("loss", float(step), step)
        monkeypatch.undo()
    kept = projected.values(run.id, "loss")
    assert kept == [float(step) for step in range(100)]
    assert session.losses.counts() == {"points dropped, the buffer is full": 50}
    assert "the buffer is full" in caplog.text
    projected.assert_complete(run.id)
