"""Copying a log from one adapter to another, with its identity, indices and times: how a folder grows into a server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mltrail_core.errors import Conflict, Unavailable
from mltrail_core.ids import PARTITIONS, Partition
from mltrail_core.log.open import open_log
from mltrail_core.log.port import EventLog, Positions


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What a copy did; the target holds at least what the source held when it began."""

    target_url: str
    records_before: int
    """How many the target held already, of an earlier copy."""
    records_copied: int
    size_bytes: int
    """Of the records that were copied."""
    heads: Positions
    """Of the source when the copy began, and so what the target holds now."""


def copy_log(source: EventLog, target_url: str, *, progress: Callable[[int, int], None] | None = None) -> CopyReport:
    """Copy what `source` holds now to `target_url`, and return how much that was; running it again resumes.

    The target is begun with the source's identity when it is empty. The source may grow meanwhile: what follows its
    heads of the beginning is left to the next run.

    Args:
        source: the log to copy.
        target_url: as for `open_log`; an empty folder or database, or one that holds an earlier copy.
        progress: called after each step with the number of records that the target holds and will hold.

    Raises:
        Conflict: the target holds another log, or a copy that went its own way.
        Unavailable: a log can't be read or written, or refused for want of room; run it again.
    """
    target = open_log(target_url, identity=source.identity)
    try:
        heads = dict(source.heads())
        standing = dict(target.heads())
        for partition in PARTITIONS:
            _refuse_unless_continuing(source, target, partition, heads[partition], standing[partition])
        before = sum(standing.values())
        total = sum(heads.values())
        size_bytes = 0
        for partition in PARTITIONS:
            while standing[partition] < heads[partition]:
                wanted = heads[partition] - standing[partition]
                entries = source.read(partition, after=standing[partition], max_records=min(1000, wanted))
                if not entries:
                    raise Unavailable(
                        f"{source.url} held {heads[partition]} records in partition {partition} and now gives none "
                        f"after {standing[partition]}; it lost some"
                    )
                target.import_entries(entries)
                standing[partition] = entries[-1].index
                size_bytes += sum(len(entry.frozen) for entry in entries)
                if progress is not None:
                    progress(sum(standing.values()), total)
        if dict(target.heads()) != heads:
            raise Conflict(f"{target.url} stands elsewhere than what was copied to it; did something else write to it?")
    finally:
        target.close()
    return CopyReport(target.url, before, total - before, size_bytes, heads)


def _refuse_unless_continuing(
    source: EventLog, target: EventLog, partition: Partition, source_head: int, target_head: int
) -> None:
    """Raise `Conflict` unless the target's last record is the source's at that index."""
    if target_head == 0:
        return
    if target_head > source_head:
        raise Conflict(
            f"partition {partition}: {target.url} holds {target_head} records and {source.url} only {source_head}; "
            "it was written to after it was copied. Copy into an empty folder or database"
        )
    theirs = target.read(partition, after=target_head - 1, max_records=1)
    ours = source.read(partition, after=target_head - 1, max_records=1)
    if not theirs or theirs != ours:
        raise Conflict(
            f"partition {partition}: record {target_head} of {target.url} is not the one of {source.url}; "
            "the logs went their own ways. Copy into an empty folder or database"
        )
