"""The projector's loop: wait for new records, project them, many partitions a transaction, until told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from random import uniform

import structlog

from mltrail_core.errors import Conflict, MltrailError, Unavailable
from mltrail_core.ids import PARTITIONS, Partition
from mltrail_core.log import EventLog, Positions
from mltrail_core.near import NearReaders
from mltrail_core.readmodel.store import ReadModel
from mltrail_projector.batch import PositionMoved
from mltrail_projector.frontier import Frontier
from mltrail_projector.positions import LogDiffers, mark_halted
from mltrail_projector.rebuild import rebuild
from mltrail_projector.shares import Shares

WAIT_S = 0.5
"""How long one wait for records may last: the bound on how late a stop is noticed."""
GATHER_S = 0.02
"""How long the loop lets records gather once several came together: a transaction costs as much as fifty records, and
in the server it takes that time from the requests. A record that comes alone is projected at once: somebody waits."""
GATHER_NEAR_S = 0.05
"""The same where an API says whether somebody waits, and nobody does: of a client that goes on and on, fewer and larger
transactions."""
GATHER_ALONE_S = 0.01
"""After a record that came alone, where an API says so: less than that, since an API of another server may share the
log, and can't say so."""
SUMMARY_GATHER_S = 40e-6
"""How long the loop gathers for each row of summaries that a transaction wrote: a row costs 10 to 25 µs however many
points it sums up, so of 8 runs with 1,500 keys each summaries take a third of a core at most, not all of it."""
MAX_GATHER_S = 0.5
GOOD_BATCH_RECORDS = 200
"""So many are worth a transaction; the loop goes on at once, since there will be more."""
RETRY_S = 0.5
FAILED_RETRY_S = 5.0

logger: structlog.stdlib.BoundLogger = structlog.get_logger("mltrail.projector")


class Outdated(MltrailError):
    """The live generation has other tables than this code: it is rebuilt from the log, not migrated."""


class Halted(MltrailError):
    """A record can't be projected, so its partition stopped before it: a bug of mltrail, or of its configuration."""


class Projector:
    """Projects one log into one read model. Several may run at once: they share the partitions; positions decide."""

    def __init__(self, log: EventLog, read_model: ReadModel, near: NearReaders | None = None) -> None:
        self._log = log
        self._read_model = read_model
        self._near = near
        self._generation = 0
        self._frontier: Frontier | None = None
        self._is_outdated = False
        self._differs: str | None = None
        """Why the log is not the one that was projected, until another generation is live."""
        self._shares: Shares | None = None
        """None outside `run`: then all partitions are taken, whoever else projects."""

    @property
    def positions(self) -> Positions:
        """Where this projector believes the partitions to stand."""
        return {} if self._frontier is None else self._frontier.positions

    @property
    def halted(self) -> Positions:
        """The index after which each halted partition stopped."""
        return {} if self._frontier is None else self._frontier.halted

    @property
    def is_behind(self) -> bool:
        """Whether the last batch left records to take; it may be asked from any thread."""
        frontier = self._frontier
        return frontier is not None and frontier.is_behind

    def run(self, stop: threading.Event) -> None:
        """Project until `stop` is set; then end after the transaction under way.

        A log or database that can't be reached is waited for. A log that differs from what was projected stops all
        work until a rebuild has made another generation live.
        """
        self._shares = Shares(self._read_model)
        try:
            self._run(stop, self._shares)
        finally:
            self._forget()
            self._shares.close()
            self._shares = None

    def _run(self, stop: threading.Event, shares: Shares) -> None:
        while not stop.is_set():
            try:
                self._step(stop)
            except PositionMoved as moved:
                logger.info("positions moved elsewhere", action="positions_moved", detail=str(moved))
                self._forget()
                shares.yield_stalled()
                stop.wait(uniform(0.02, 0.1))
            except Outdated:
                self._is_outdated = True
            except LogDiffers as error:
                logger.error("the log differs from what was projected", action="log_differs", error=str(error))
                self._differs = str(error)
            except Unavailable as error:
                logger.warning("waiting for log or read model", action="projector_waits", error=str(error))
                self._forget()  # after a reconnect the log is checked anew
                stop.wait(RETRY_S)
            except Exception:
                # The loop is one of the three places that may catch everything: it is logged, and tried again slowly.
                logger.exception("the projector's loop failed", action="projector_failed")
                self._forget()
                stop.wait(FAILED_RETRY_S)

    def project_some(self) -> int:
        """Project the next batch, and return how many records it took: 0 when there was none.

        Raises:
            Outdated: the live generation has other tables; `replace_outdated` mends that.
            LogDiffers: the log is not the one that was projected.
            PositionMoved: somebody else projects; positions must be read anew.
            Unavailable: log or database can't be reached; nothing was written.
        """
        if self._frontier is None:
            self._frontier = self._start()
        if self._near is not None:
            self._near.hurried.clear()  # before the look at the log: who waits for what comes after it, says so anew
        heads = self._log.heads()
        if self._shares is not None and self._shares.renew(heads):
            self._frontier = self._start()  # others projected those partitions: they stand further than was believed
            heads = self._log.heads()
        for partition, index in self._frontier.positions.items():
            if heads[partition] < index:
                self._frontier.check()
        of_others = {name: self._frontier.positions[name] for name in self._partitions_of_others()}
        records = self._frontier.advance({**heads, **of_others})
        if records and self._near is not None:
            self._near.tell(self._frontier.progress)
        return records

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

    def _step(self, stop: threading.Event) -> None:
        if self._is_outdated:
            self.replace_outdated()
            self._is_outdated = False
        elif self._differs is not None:
            self._wait_for_rebuild(self._differs, stop)
        else:
            records = self.project_some()
            if not records:
                self._wait()
            else:
                self._gather(records, stop)

    def _gather(self, records: int, stop: threading.Event) -> None:
        """Let records gather after a transaction of `records`: as long as summaries ask for in any case, else while
        nobody waits for them."""
        if self._frontier is None or self._frontier.is_behind:
            return
        for_summaries_s = min(MAX_GATHER_S, self._frontier.summaries * SUMMARY_GATHER_S)
        if for_summaries_s > GATHER_S:
            stop.wait(for_summaries_s)
            for_summaries_s = 0.0
        if self._near is not None and self._near.is_anybody_there:
            gather_s = GATHER_ALONE_S if records == 1 else GATHER_NEAR_S if records < GOOD_BATCH_RECORDS else 0.0
            self._near.hurried.wait(max(gather_s, for_summaries_s))
        else:
            stop.wait(max(GATHER_S if 1 < records < GOOD_BATCH_RECORDS else 0.0, for_summaries_s))

    def _forget(self) -> None:
        """Believe nothing of where the partitions stand; the next step reads it anew."""
        frontier, self._frontier = self._frontier, None
        if frontier is not None:
            frontier.close()

    def _start(self) -> Frontier:
        self._forget()
        self._generation = self._read_model.live_generation()
        if not self._read_model.fits(self._generation):
            raise Outdated(f"generation {self._generation} was made by another version of mltrail")
        frontier = Frontier(self._log, self._read_model, self._generation, must_be_live=True)
        frontier.check()
        return frontier

    def _partitions_of_others(self) -> set[Partition]:
        return set() if self._shares is None else set(PARTITIONS) - self._shares.partitions

    def _wait(self) -> None:
        known = dict(self.positions)
        for partition in {*self.halted, *self._partitions_of_others()}:
            known[partition] = 1 << 62  # nothing that comes there is waited for
        # Where records came, their transaction looks at the pointer.
        if not self._log.wait(known, timeout_s=WAIT_S) and self._read_model.live_generation() != self._generation:
            raise PositionMoved("a rebuild made another generation live")

    def _wait_for_rebuild(self, why: str, stop: threading.Event) -> None:
        """Say in every partition that nothing is projected, then wait until another generation is live."""
        for partition in PARTITIONS:
            mark_halted(self._read_model, self._generation, partition, why)
        while not stop.wait(RETRY_S):
            if self._read_model.live_generation() != self._generation:
                self._differs = None
                self._forget()
                return


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
