"""Which run the functions of the module act on, in threads, tasks and with several writers of one run."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

import mltrail
from tests.sdk.projected import ProjectedLog


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
