"""Rebuild beside the live read model: fold the log into the next generation, compare, and swap.

The live generation serves and is projected all the while. Only the end holds it still: its positions are locked, the
new generation catches up to exactly there, both digests are compared, the pointer moves.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select, text

from mltrail_core.errors import Conflict, MltrailError, Unavailable
from mltrail_core.ids import PARTITIONS, Partition
from mltrail_core.log import EventLog, Positions
from mltrail_core.readmodel import tables
from mltrail_core.readmodel.store import ReadModel
from mltrail_projector.digest import Digest, digest_read_model
from mltrail_projector.frontier import Frontier

Progress = Callable[[int, int], None]
"""Told how many records are folded, and how many there were to fold when last looked."""

_ENOUGH_CAUGHT_UP = 200
"""With fewer records than this to go, the live generation is locked for the rest."""
_REBUILD_LOCK = 0x6D6C7472_65
_MAX_ROUNDS = 1000


class Different(MltrailError):
    """The rebuilt read model differs from the live one, which stays live."""

    def __init__(self, report: RebuildReport) -> None:
        how = "they do not stand at the same place: the live one is past the log's end, or one of them is halted"
        if report.old_digest is not None:
            how = f"tables {', '.join(report.differing)} differ"
        super().__init__(
            f"the log gives another read model than the live one: {how}; generation {report.old_generation} stays "
            "live. If the log is right, run `mltrail rebuild --accept-difference`"
        )
        self.report = report


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What a rebuild found. Digests are those of both generations at `positions`."""

    old_generation: int
    new_generation: int
    positions: Positions
    records: int
    old_digest: Digest | None
    new_digest: Digest

    @property
    def differing(self) -> list[str]:
        """Names of tables whose content differs; empty when equal, or when there was nothing to compare with."""
        return [] if self.old_digest is None else self.new_digest.differing(self.old_digest)

    @property
    def is_equal(self) -> bool:
        """Whether both generations were compared and hold the same."""
        return self.old_digest is not None and not self.differing


def rebuild(
    log: EventLog,
    read_model: ReadModel,
    *,
    accept_difference: bool = False,
    progress: Progress | None = None,
) -> RebuildReport:
    """Fold the whole log into a new generation, compare it with the live one, and make it live.

    A live generation that another version of mltrail made, with other tables, is not compared but replaced.

    Safe while trainers, API and projectors run; a rebuild that is killed leaves the live generation as it was.

    Args:
        accept_difference: make the new generation live also when it differs (the log is always right), or when the
            live one stands past the log's end or was halted.

    Raises:
        Different: they differ, and the live generation stays.
        Conflict: another rebuild is running.
        Unavailable: log or read model can't be reached.
    """
    with _only_rebuild(read_model):
        old = read_model.live_generation()
        new = max(read_model.generations()) + 1
        has_same_tables = read_model.fits(old)
        try:
            read_model.create_generation(new)
            frontier = Frontier(log, read_model, new, must_be_live=False)
            for _ in range(_MAX_ROUNDS):
                live = _live_positions(read_model) if has_same_tables else log.heads()
                target = _reachable(log, live, accept_difference or not has_same_tables)
                if sum(target.values()) - sum(frontier.positions.values()) <= _ENOUGH_CAUGHT_UP:
                    break
                if not _fold_to(frontier, target, progress):
                    break  # what is left is behind a record that can't be projected
            if has_same_tables:
                report = _finish(log, read_model, old, new, frontier, accept_difference, progress)
            else:
                report = _replace_unfit(log, read_model, old, new, frontier, progress)
        except Unavailable:
            raise  # the answer to the swap itself may be what was lost: the next rebuild drops what was left over
        except BaseException:
            if read_model.live_generation() != new:
                read_model.drop_generation(new)
            raise
        for generation in read_model.generations():
            if generation not in (old, new):
                read_model.drop_generation(generation)
        return report


def _finish(
    log: EventLog,
    read_model: ReadModel,
    old: int,
    new: int,
    frontier: Frontier,
    accept_difference: bool,
    progress: Progress | None,
) -> RebuildReport:
    """Hold the live generation still, catch up to exactly where it stands, compare, and swap."""
    with read_model.writing(old) as held:
        live = _locked_positions(held)
        if not read_model.is_live(held, old):  # a database may drop our lock while its session idles
            raise Conflict(f"generation {old} is no longer live: another rebuild took its place")
        target = _reachable(log, live, accept_difference)
        _fold_to(frontier, target, progress)
        with read_model.writing(new) as connection:
            new_digest = digest_read_model(connection)
        comparable = all(frontier.positions[name] == live[name] for name in PARTITIONS)
        report = RebuildReport(
            old_generation=old,
            new_generation=new,
            positions=dict(frontier.positions),
            records=sum(frontier.positions.values()),
            old_digest=digest_read_model(held) if comparable else None,
            new_digest=new_digest,
        )
        if not report.is_equal and not accept_difference:
            raise Different(report)
        read_model.point_at(held, new)
    return report


def _replace_unfit(
    log: EventLog,
    read_model: ReadModel,
    old: int,
    new: int,
    frontier: Frontier,
    progress: Progress | None,
) -> RebuildReport:
    """Fold to the log's heads, and swap: this code can neither read nor project the old generation's tables."""
    _fold_to(frontier, log.heads(), progress)
    with read_model.writing(new) as connection:
        digest = digest_read_model(connection)
        read_model.point_at(connection, new)
    return RebuildReport(old, new, dict(frontier.positions), sum(frontier.positions.values()), None, digest)


def _fold_to(frontier: Frontier, target: Positions, progress: Progress | None) -> bool:
    """Fold up to `target`, as far as nothing halts, and return whether there was anything to fold."""
    has_moved = False
    while frontier.advance(target):
        has_moved = True
        if progress is not None:
            progress(sum(frontier.positions.values()), sum(target.values()))
    return has_moved


def _reachable(log: EventLog, live: Positions, accept_difference: bool) -> Positions:
    """Return up to where the new generation may fold: where the live one stands, so that both can be compared."""
    heads = log.heads()
    return dict(heads) if accept_difference else {name: min(live[name], heads[name]) for name in PARTITIONS}


def _live_positions(read_model: ReadModel) -> dict[Partition, int]:
    with read_model.reading() as connection:
        return _positions(connection)


def _positions(connection: Connection) -> dict[Partition, int]:
    rows = connection.execute(select(tables.positions.c.partition, tables.positions.c["index"]))
    found = {Partition(partition): index for partition, index in rows}
    return {partition: found.get(partition, 0) for partition in PARTITIONS}


def _locked_positions(connection: Connection) -> dict[Partition, int]:
    """Lock the live generation against every projector (SQLite's write lock is held already) and read where it is."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(tables.positions).order_by(tables.positions.c.partition).with_for_update())
    return _positions(connection)


@contextlib.contextmanager
def _only_rebuild(read_model: ReadModel) -> Iterator[None]:
    """Hold the lock that allows one rebuild at a time; it goes with the process that holds it."""
    running = Conflict("another rebuild of this read model is running; wait for it to end")
    if read_model.dialect == "postgresql":
        with read_model.writing(read_model.live_generation()) as connection:
            query = text("SELECT pg_try_advisory_xact_lock(:key)")
            if not connection.execute(query, {"key": _REBUILD_LOCK}).scalar_one():
                raise running
            yield
        return
    folder = Path(read_model.url.removeprefix("sqlite:///"))
    with (folder / "rebuild.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise running from error
        yield
