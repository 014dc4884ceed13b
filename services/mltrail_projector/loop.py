"""The projector's loop: wait for new records, project them, many partitions a transaction, until told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from random import uniform

import structlog

from mltrail_core.errors import Conflict, MltrailError, Unavailable
from mltrail_core.ids import PARTITIONS, Partition
from mltrail_core.log import EventLog, LogEntry, Positions
from mltrail_core.readmodel.store import ReadModel
from mltrail_projector.batch import (
    BATCH_BYTES,
    PARTITION_BYTES,
    PARTITION_RECORDS,
    Batch,
    FlushFailed,
    HandlerFailed,
    PositionMoved,
    project_batch,
)
from mltrail_projector.positions import LogDiffers, check_against_log, mark_halted, read_positions
from mltrail_projector.rebuild import rebuild

WAIT_S = 0.5
"""How long one wait for records may last: the bound on how late a stop is noticed."""
RETRY_S = 0.5

logger: structlog.stdlib.BoundLogger = structlog.get_logger("mltrail.projector")


class Outdated(MltrailError):
    """The live generation has other tables than this code: it is rebuilt from the log, not migrated."""


class Halted(MltrailError):
    """A handler raised, so a partition stopped before that record: a bug of mltrail, or of its configuration."""


class Projector:
    """Projects one log into one read model. Several may run at once: the positions decide, the others waste work."""

    def __init__(self, log: EventLog, read_model: ReadModel) -> None:
        self._log = log
        self._read_model = read_model
        self._generation = 0
        self._positions: dict[Partition, int] = {}
        self._halted: dict[Partition, int] = {}
        """The index before which a partition stopped: a handler raised on it."""
        self._singly = 0
        """How many records are still to be projected one at a time, to find one that can't be written."""

    @property
    def positions(self) -> Positions:
        """Where this projector believes the partitions to stand."""
        return self._positions

    @property
    def halted(self) -> Positions:
        """The index after which each halted partition stopped."""
        return self._halted

    def run(self, stop: threading.Event) -> None:
        """Project until `stop` is set; then end after the transaction under way.

        A log or database that can't be reached is waited for. A log that differs from what was projected stops all
        work until a rebuild has made another generation live.
        """
        while not stop.is_set():
            try:
                self._start()
                while not stop.is_set():
                    if not self.project_some() and not stop.is_set():
                        self._wait(stop)
            except PositionMoved as moved:
                logger.info("positions moved elsewhere", action="positions_moved", detail=str(moved))
                stop.wait(uniform(0.02, 0.1))
            except Outdated:
                self.replace_outdated()
            except LogDiffers as error:
                self._halt_all(str(error))
                self._wait_for_rebuild(stop)
            except Unavailable as error:
                logger.warning("waiting for log or read model", action="projector_waits", error=str(error))
                stop.wait(RETRY_S)
            except Exception:
                # The loop is one of the three places that may catch everything: it is logged, and tried again slowly.
                logger.exception("the projector's loop failed", action="projector_failed")
                stop.wait(5.0)

    def project_some(self) -> bool:
        """Project the next batch, and return whether there was one.

        Raises:
            PositionMoved: somebody else projects; positions must be read anew.
            Unavailable: log or database can't be reached; nothing was written.
        """
        if not self._positions:
            self._start()
        batch = self._gather()
        failures: list[HandlerFailed] = []
        while batch:
            try:
                projected = project_batch(self._read_model, self._generation, batch)
            except HandlerFailed as failed:
                self._halted[failed.entry.partition] = failed.entry.index - 1
                failures.append(failed)
                batch = self._before_halts(batch)
            except FlushFailed:
                # The database can't say which record it was: one at a time until what was gathered has passed.
                self._singly = sum(len(entries) for entries in batch.values())
                batch = _first_of(batch)
            else:
                self._singly = max(0, self._singly - 1)
                self._positions.update(projected.positions)
                break
        for failure in failures:  # only now: moving a position clears the word that it is halted
            self._announce_halt(failure)
        return bool(batch)

    def _start(self) -> None:
        """Forget what is known, and read positions and the records at them anew."""
        self._generation = self._read_model.live_generation()
        if not self._read_model.fits(self._generation):
            raise Outdated(f"generation {self._generation} was made by another version of mltrail")
        self._positions = read_positions(self._read_model, self._generation)
        self._halted.clear()
        check_against_log(self._log, self._read_model, self._generation)

    def _gather(self) -> Batch:
        heads = self._log.heads()
        ahead = [name for name in PARTITIONS if self._limit(name, heads) > self._positions[name]]
        batch: dict[Partition, list[LogEntry]] = {}
        share = min(PARTITION_BYTES, BATCH_BYTES // max(1, len(ahead)))
        for partition in ahead:
            entries = self._log.read(
                partition, after=self._positions[partition], max_records=PARTITION_RECORDS, max_bytes=share
            )
            entries = [entry for entry in entries if entry.index <= self._limit(partition, heads)]
            if entries:
                batch[partition] = entries
        return _first_of(batch) if self._singly else batch

    def _limit(self, partition: Partition, heads: Positions) -> int:
        return min(heads[partition], self._halted.get(partition, heads[partition]))

    def _before_halts(self, batch: Batch) -> Batch:
        cut = {
            partition: [entry for entry in entries if entry.index <= self._halted.get(partition, entry.index)]
            for partition, entries in batch.items()
        }
        return {partition: entries for partition, entries in cut.items() if entries}

    def _announce_halt(self, failed: HandlerFailed) -> None:
        entry, cause = failed.entry, failed.__cause__
        why = f"index {entry.index}: {type(cause).__name__}: {cause}"
        logger.error(
            "partition halted: a handler raised, nothing is skipped",
            action="partition_halted",
            partition=entry.partition,
            index=entry.index,
            exc_info=cause,
        )
        mark_halted(self._read_model, self._generation, entry.partition, why)

    def replace_outdated(self) -> None:
        """Rebuild a live generation that another version of mltrail made, or wait while somebody else does."""
        logger.warning("rebuilding for this version", action="read_model_outdated", generation=self._generation)
        try:
            report = rebuild(self._log, self._read_model)
        except Conflict:
            time.sleep(RETRY_S)  # another projector is at it
        else:
            logger.info(
                "rebuilt", action="read_model_rebuilt", generation=report.new_generation, records=report.records
            )

    def _halt_all(self, why: str) -> None:
        logger.error("the log differs from what was projected", action="log_differs", error=why)
        for partition in PARTITIONS:
            mark_halted(self._read_model, self._generation, partition, why)

    def _wait(self, stop: threading.Event) -> None:
        known = dict(self._positions)
        for partition in self._halted:
            known[partition] = 1 << 62  # nothing that comes there is waited for
        self._log.wait(known, timeout_s=WAIT_S)
        if self._read_model.live_generation() != self._generation:
            raise PositionMoved("a rebuild made another generation live")

    def _wait_for_rebuild(self, stop: threading.Event) -> None:
        while not stop.wait(RETRY_S):
            if self._read_model.live_generation() != self._generation:
                return


def _first_of(batch: Batch) -> Batch:
    partition, entries = next(iter(batch.items()), (None, []))
    return {} if partition is None else {partition: entries[:1]}


def catch_up(
    log: EventLog, read_model: ReadModel, *, timeout_s: float = 3600.0, progress: Callable[[int], None] | None = None
) -> None:
    """Project all that the log holds now, then return; `progress` is told how many records are projected so far.

    Raises:
        LogDiffers: the log is not the one that was projected.
        Unavailable: log or read model can't be reached.
        TimeoutError: it took longer than `timeout_s`.
        Halted: a partition halted; `mltrail log status` says where and why.
    """
    deadline = time.monotonic() + timeout_s
    heads = log.heads()
    projector = Projector(log, read_model)
    while True:
        try:
            has_more = projector.project_some()
        except Outdated:
            projector.replace_outdated()
            continue
        except PositionMoved:
            projector = Projector(log, read_model)
            continue
        positions = projector.positions
        if progress is not None:
            progress(sum(positions.values()))
        if all(positions[name] >= head for name, head in heads.items()):
            return
        if projector.halted and not has_more:
            raise Halted(f"partitions {', '.join(projector.halted)} halted; see `mltrail log status`")
        if time.monotonic() > deadline:
            raise TimeoutError(f"the log was not projected within {timeout_s:g} s")
