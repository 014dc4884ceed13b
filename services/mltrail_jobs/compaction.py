"""Compaction: blocks of points, as the projector wrote them, become chunks of one metric each.

What is read and packed outside any lock is written in one short transaction, which takes effect only if every block
and chunk that it replaces is still there: a compaction that was overtaken by another leaves everything as it is. The
projector only ever adds blocks, so it and a compaction never touch the same row.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import randrange

import structlog
from sqlalchemy import Connection, bindparam, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_core.readmodel.tables import compaction_calls, metric_blocks, metric_chunks
from mltrail_core.series import COMPACTION_LOCK
from mltrail_jobs.compaction_step import Change, plan_step
from mltrail_jobs.precedence import Precedence

ROUND_S = 10.0
"""How long a round goes on beginning new steps: other jobs wait for it."""
_LOOK_AGAIN_S = 0.1
_RUNS_A_ROUND = 200
_ROWS_PER_STATEMENT = 5000

logger: structlog.stdlib.BoundLogger = structlog.get_logger("mltrail.jobs")


class Overtaken(Exception):
    """Another compaction, or a rebuild, changed what this one had read; nothing was written."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """What was replaced and written. `is_done`: nothing more is to be done now."""

    blocks: int = 0
    chunks: int = 0
    is_done: bool = True


def compact_metrics(
    store_url: str, *, should_stop: Callable[[], bool] = lambda: False, precedence: Precedence | None = None
) -> Compacted:
    """Compact the runs that some block called for, as many as a round allows and `precedence` leaves time for.

    Raises:
        Unavailable: the read model can't be reached.
    """
    blocks = chunks = 0
    end = time.monotonic() + ROUND_S
    precedence = Precedence() if precedence is None else precedence
    precedence.begin_round()
    with contextlib.closing(open_read_model(store_url)) as read_model:
        run_ids = _calling(read_model)
        for run_id in run_ids:
            is_done = False
            while not is_done:
                while precedence.must_wait() and not should_stop() and time.monotonic() <= end:
                    time.sleep(_LOOK_AGAIN_S)
                if should_stop() or time.monotonic() > end:
                    return Compacted(blocks, chunks, is_done=False)
                try:
                    step = compact_run(read_model, run_id)
                except Overtaken as overtaken:
                    logger.info("compaction was overtaken", action="compaction_overtaken", detail=str(overtaken))
                    break
                blocks, chunks, is_done = blocks + step.blocks, chunks + step.chunks, step.is_done
    precedence.end_round()
    return Compacted(blocks, chunks, is_done=len(run_ids) < _RUNS_A_ROUND)


def compact_run(read_model: ReadModel, run_id: str) -> Compacted:
    """Turn some of a run's blocks into chunks, and those of metrics with few points into one larger block.

    No reader sees a difference. Safe to be killed at any point, and beside projectors and other compactions.

    Raises:
        Overtaken: nothing was written, since somebody else changed the run's blocks or chunks.
        Unavailable: the read model can't be reached; nothing was written.
    """
    generation = read_model.live_generation()
    with read_model.reading() as connection:
        if not read_model.is_live(connection, generation):
            raise Overtaken("a rebuild made another generation live")
        last_call = select(func.max(compaction_calls.c.last_index)).where(compaction_calls.c.run_id == run_id)
        heard_until = connection.execute(last_call).scalar()
        change = plan_step(connection, run_id)
    if change is None and heard_until is None:
        return Compacted()
    is_done = change is None or not change.has_more
    try:
        with read_model.writing(generation) as connection:
            _refuse_rebuild(connection, read_model, generation)
            if change is not None:
                _write(connection, run_id, change)
            if is_done and heard_until is not None:
                is_heard = (compaction_calls.c.run_id == run_id) & (compaction_calls.c.last_index <= heard_until)
                connection.execute(delete(compaction_calls).where(is_heard))
    except IntegrityError as error:  # the number of a chunk is taken
        raise Overtaken(f"another compaction has written chunks of run {run_id}") from error
    return Compacted() if change is None else Compacted(len(change.blocks), len(change.chunks), is_done)


def _calling(read_model: ReadModel) -> list[str]:
    """Return the runs of a round, from anywhere on: were the same always first, they could keep the others waiting."""
    run_id = compaction_calls.c.run_id
    start = f"{randrange(256):02x}"
    found: list[str] = []
    with read_model.reading() as connection:
        for part in (run_id >= start, run_id < start):
            some = select(run_id).distinct().where(part).order_by(run_id).limit(_RUNS_A_ROUND - len(found))
            found += connection.execute(some).scalars()
    return found


def _refuse_rebuild(connection: Connection, read_model: ReadModel, generation: int) -> None:
    """Leave a generation alone whose digest is being taken (SQLite's write lock sees to that), or that is not live."""
    if connection.dialect.name == "postgresql":
        is_free = connection.execute(select(func.pg_try_advisory_xact_lock_shared(COMPACTION_LOCK))).scalar()
        if not is_free:
            raise Overtaken("a rebuild takes the digest of the live generation")
    if not read_model.is_live(connection, generation):
        raise Overtaken("a rebuild made another generation live")


def _write(connection: Connection, run_id: str, change: Change) -> None:
    """Replace blocks and chunks by new ones: all of them, or none when one is no longer there."""
    removed = 0
    numbers = {number for _, number in change.blocks}  # few: a block that was never replaced has the number 0
    for number in numbers:
        indices = [index for index, its_number in change.blocks if its_number == number]
        for first in range(0, len(indices), _ROWS_PER_STATEMENT):
            some = metric_blocks.c.last_index.in_(indices[first : first + _ROWS_PER_STATEMENT])
            is_replaced = (metric_blocks.c.run_id == run_id) & (metric_blocks.c.number == number) & some
            removed += connection.execute(delete(metric_blocks).where(is_replaced)).rowcount
    if change.replaced:
        names = [{"its_run": run_id, "its_key": key, "its_number": number} for key, number in change.replaced]
        removed += connection.execute(_REMOVE_CHUNK, names).rowcount
    if removed != len(change.blocks) + len(change.replaced):
        raise Overtaken(f"another compaction has replaced blocks or chunks of run {run_id}")
    if change.chunks:
        connection.execute(insert(metric_chunks), change.chunks)
    connection.execute(insert(metric_blocks), [change.rest])


_REMOVE_CHUNK = delete(metric_chunks).where(
    metric_chunks.c.run_id == bindparam("its_run"),
    metric_chunks.c.key == bindparam("its_key"),
    metric_chunks.c.number == bindparam("its_number"),
)
"""Made once, and run for thousands of chunks at a time."""
