"""How far one generation is, and how it moves on: the next batch, the check that the log is still the same, the halts.

The loop moves the live generation so, a rebuild the next one.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from mltrail_core.ids import PARTITIONS, Partition
from mltrail_core.log import EventLog, LogEntry, Positions
from mltrail_core.near import Progress
from mltrail_core.readmodel.store import ReadModel
from mltrail_projector.batch import (
    Batch,
    FlushFailed,
    HandlerFailed,
    hash_of,
    project_batch,
)
from mltrail_projector.memory import Memory
from mltrail_projector.positions import LogDiffers, mark_halted, read_standing
from mltrail_projector.read_ahead import ReadAhead, Stretch

logger: structlog.stdlib.BoundLogger = structlog.get_logger("mltrail.projector")


class Frontier:
    """Where a generation stands in each partition of a log, as this process believes."""

    def __init__(self, log: EventLog, read_model: ReadModel, generation: int, *, must_be_live: bool) -> None:
        self._log = log
        self._read_model = read_model
        self._generation = generation
        self._must_be_live = must_be_live
        standing = read_standing(read_model, generation)
        self.positions: dict[Partition, int] = {name: index for name, (index, _) in standing.items()}
        self._hashes: dict[Partition, bytes | None] = {name: hash_ for name, (_, hash_) in standing.items()}
        self.halted: dict[Partition, int] = {}
        """The index after which a partition stopped: the next record can't be projected."""
        self._failures: list[HandlerFailed] = []
        self._rejected = 0
        self._memory = Memory()
        self._ahead = ReadAhead(log)
        self.summaries = 0
        """Rows of summaries that the last `advance` wrote."""
        self.progress = Progress(self.positions, self.positions, False)
        """What the last `advance` did."""
        self.is_behind = False
        """Whether the last `advance` left records to take: its transaction was as large as they get."""

    def check(self) -> None:
        """Compare the record at each position with the one that was projected.

        Raises:
            LogDiffers: a record is gone, or another one.
            Unavailable: the log can't be reached.
        """
        for partition, index in self.positions.items():
            if index:
                self._refuse_another(partition, self._log.read(partition, after=index - 1, max_records=1))

    def advance(self, target: Positions) -> int:
        """Project the next batch up to `target`, and return how many records it took: 0 when there was none.

        A record that can't be projected halts its partition before it; the others go on.

        Raises:
            LogDiffers: the log does not go on where it was projected to.
            PositionMoved: somebody else projects this generation, or it is no longer live.
            Unavailable: log or database can't be reached; nothing of the last transaction was written.
        """
        batch = self._gather(target)
        before = dict(self.positions)
        self.summaries, self._rejected = 0, 0
        ends = {name: entries[-1].index for name, entries in batch.items()}
        self.is_behind = any(end < self._limit(name, target) for name, end in ends.items())
        if self.is_behind:
            # Of all of them, since where records come fast, more have come by then.
            self._ahead.begin({name: entries[-1] for name, entries in batch.items()})
        try:
            self._project(batch)
        finally:
            failures, self._failures = self._failures, []
            for failure in failures:  # only now: moving a position clears the word that it is halted
                self._announce(failure)
        self.progress = Progress(before, dict(self.positions), is_clean=not self._rejected)
        return sum(len(entries) for entries in batch.values())

    def close(self) -> None:
        """Let the log go: nothing of it is read any more."""
        self._ahead.close()

    def _gather(self, target: Positions) -> Batch:
        ahead = {name: self.positions[name] for name in PARTITIONS if self._limit(name, target) > self.positions[name]}
        batch: dict[Partition, Sequence[LogEntry]] = {}
        for partition, stretch in self._ahead.take(ahead).items():
            self._refuse_seam(partition, stretch)
            limit = self._limit(partition, target)
            batch[partition] = [entry for entry in stretch.entries if entry.index <= limit]
        return batch

    def _limit(self, partition: Partition, target: Positions) -> int:
        return min(target[partition], self.halted.get(partition, target[partition]))

    def _refuse_seam(self, partition: Partition, stretch: Stretch) -> None:
        """Refuse what does not go on where the partition stands. The record at the position was read together with what
        follows it: a log that was rewound in between, and has grown past the position again, is noticed by that one."""
        if stretch.after:
            self._refuse_another(partition, [] if stretch.known is None else [stretch.known])
        if not stretch.entries or stretch.entries[0].index != stretch.after + 1:
            raise LogDiffers(f"the log at {self._log.url} lacks index {stretch.after + 1} of partition {partition}")

    def _refuse_another(self, partition: Partition, entries: Sequence[LogEntry]) -> None:
        index = self.positions[partition]
        mend = "If it is the right log, run `mltrail rebuild --accept-difference`"
        if not entries or entries[0].index != index:
            raise LogDiffers(
                f"partition {partition} was projected to index {index}, the log at {self._log.url} ends before it: it "
                f"lost its tail or is another log. {mend}"
            )
        if hash_of(entries[0]) != self._hashes[partition]:
            raise LogDiffers(
                f"the record at index {index} of partition {partition} is not the one that was projected: the log at "
                f"{self._log.url} was changed. {mend}"
            )

    def _project(self, batch: Batch) -> None:
        """Project the batch; when the database can't write it, find the record by halves, partition by partition."""
        batch = self._projectable(batch)
        if not batch:
            return
        try:
            projected = project_batch(
                self._read_model,
                self._generation,
                batch,
                must_be_live=self._must_be_live,
                memory=self._memory,
                decode=self._ahead.decode,
            )
        except HandlerFailed as failed:
            self.halted[failed.entry.partition] = failed.entry.index - 1
            self._failures.append(failed)
            self._project(batch)
        except FlushFailed:
            for part in _parts(batch):
                self._project(part)
        else:
            self.summaries += projected.summaries
            self._rejected += projected.counts["rejected"]
            for partition, entries in batch.items():
                self.positions[partition] = entries[-1].index
                self._hashes[partition] = hash_of(entries[-1])

    def _projectable(self, batch: Batch) -> Batch:
        cut = {
            partition: [entry for entry in entries if entry.index <= self.halted.get(partition, entry.index)]
            for partition, entries in batch.items()
        }
        return {partition: entries for partition, entries in cut.items() if entries}

    def _announce(self, failed: HandlerFailed) -> None:
        entry, cause = failed.entry, failed.__cause__
        why = f"index {entry.index}: {type(cause).__name__}: {cause}"[:2000].replace("\0", "\\0")
        logger.error(
            "partition halted: a record can't be projected, nothing is skipped",
            action="partition_halted",
            partition=entry.partition,
            index=entry.index,
            exc_info=cause,
        )
        mark_halted(self._read_model, self._generation, entry.partition, why)


def _parts(batch: Batch) -> list[Batch]:
    """Return the batch's partitions one by one, or the two halves of its only one."""
    if len(batch) > 1:
        return [{partition: entries} for partition, entries in batch.items()]
    ((partition, entries),) = batch.items()
    middle = len(entries) // 2
    return [{partition: entries[:middle]}, {partition: entries[middle:]}]
