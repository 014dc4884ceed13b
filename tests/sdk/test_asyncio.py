"""In an asyncio program nothing of a run blocks the loop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import mltrail
from tests.sdk.faulty_server import FaultyServer
from tests.sdk.projected import ProjectedLog


@contextlib.asynccontextmanager
async def beating() -> AsyncIterator[list[float]]:
    """Give the times at which the loop was free, every few milliseconds."""
    beats = [time.monotonic()]

    async def beat() -> None:
        while True:
            await asyncio.sleep(0.005)
            beats.append(time.monotonic())

    task = asyncio.create_task(beat())
    try:
        yield beats
    finally:
        task.cancel()


def test_a_run_is_flushed_and_ended_without_blocking_the_loop(
    faulty_server: FaultyServer, projected: ProjectedLog
) -> None:
    faulty_server.stop()  # so that both have something to wait for
    mltrail.init(faulty_server.url, exit_timeout_s=0.5)

    async def train() -> tuple[str, int, int]:
        async with beating() as beats:
            async with mltrail.start_run() as run:
                run.log_metric("loss", 0.5, step=1)
                mltrail.log_param("lr", 0.1)
                before = len(beats)
                assert not await run.aflush(0.3)
                while_flushing = len(beats) - before
                before = len(beats)
            return run.id, while_flushing, len(beats) - before

    run_id, while_flushing, while_ending = asyncio.run(train())
    # Each waited for tenths of a second: had the loop been blocked, it would have beaten once at most.
    assert while_flushing > 3
    assert while_ending > 3
    faulty_server.start()
    assert mltrail._fluent.current_session().flush(None, time.monotonic() + 20)
    assert projected.run(run_id)["status"] == "FINISHED"
    assert projected.params(run_id) == {"lr": "0.1"}
    projected.assert_complete(run_id)


def test_a_task_has_no_active_run_after_the_end_of_its_own(folder: Path) -> None:
    mltrail.init(folder)

    async def train() -> None:
        async with mltrail.start_run() as outer:
            async with mltrail.start_run() as inner:
                assert mltrail.active_run() is inner
            assert mltrail.active_run() is outer
            assert inner.is_ended
        assert mltrail.active_run() is None

    asyncio.run(train())


@pytest.mark.parametrize(("error", "status"), [(RuntimeError, "FAILED"), (asyncio.CancelledError, "KILLED")])
def test_an_error_or_a_cancellation_ends_the_run_with_its_status(
    folder: Path, projected: ProjectedLog, error: type[BaseException], status: str
) -> None:
    mltrail.init(folder)
    runs: list[mltrail.Run] = []

    async def train() -> None:
        async with mltrail.start_run() as run:
            runs.append(run)
            if error is asyncio.CancelledError:
                asyncio.current_task().cancel()  # type: ignore[union-attr]
                await asyncio.sleep(60)
            raise error("diverged")

    with pytest.raises(error):
        asyncio.run(train())
    assert projected.run(runs[0].id)["status"] == status


def test_many_tasks_each_end_a_run_of_their_own(folder: Path, projected: ProjectedLog) -> None:
    mltrail.init(folder)

    async def train(number: int) -> str:
        async with mltrail.start_run(name=f"task {number}") as run:
            await asyncio.sleep(0)
            mltrail.log_param("number", number)
            return run.id

    async def train_all() -> list[str]:
        return await asyncio.gather(*(train(number) for number in range(20)))

    ids = asyncio.run(train_all())
    assert [projected.params(run_id) for run_id in ids] == [{"number": str(number)} for number in range(20)]
