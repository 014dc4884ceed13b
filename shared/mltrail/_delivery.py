"""`Run.delivery()`: what became of all that a run was told, on this machine and on the other side."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mltrail_core.errors import MltrailError

if TYPE_CHECKING:
    from mltrail._losses import Losses
    from mltrail._outbox import Outbox
    from mltrail._settings import Settings


@dataclass(frozen=True, slots=True)
class Rejection:
    """An event that the log holds and the fold refused; `event` is None when a whole record was refused.

    `reason` is a stable word such as `param_changed`.
    """

    event: str | None
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ProcessDelivery:
    """What the log received of one process that writes to the run.

    `received` and `missing` are numbers of records, such as `1-41,43`; `last_sequence` is None until the process has
    said that there will be no more. `last_seen_us` is its last sign of life (µs UTC).
    """

    producer: str
    host: str | None
    process_id: int | None
    rank: int | None
    received: str
    missing: str
    last_sequence: int | None
    is_complete: bool
    last_seen_us: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """What the read model knows of a run: `status` is None before its creation arrived."""

    status: str | None
    is_complete: bool
    processes: tuple[ProcessDelivery, ...]
    rejected: tuple[Rejection, ...]
    unprojected_records: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of all that a run was told, now.

    The first part is of this process and always known, in records of this run: `sent` are all that were made,
    `acknowledged` those that are durable in the log, `spooled` those that wait on the disk of this machine, `in_memory`
    those that wait and are not on the disk, `refused` those that the server will never take. `lag_s` is how long the
    oldest that waits has been waiting. `dropped` counts what never became a record, by reason, for all runs of the
    process.

    The second part is what the other side says: `rejected` events with their reasons, what was received of each
    process, the run's `status` (LOST while nothing was heard of its processes), and `unprojected_records`, how many
    records the read model is behind. When nobody can be asked, `unknown_because` says why, and this part is empty.
    """

    run_id: str
    sent: int
    acknowledged: int
    spooled: int
    in_memory: int
    refused: int
    lag_s: float
    dropped: Mapping[str, int]
    rejected: tuple[Rejection, ...]
    processes: tuple[ProcessDelivery, ...]
    status: str | None
    is_complete: bool
    """Whether every process has said goodbye, and nothing is missing of any."""
    unprojected_records: int | None
    unknown_because: str | None


@dataclass(slots=True)
class _Tally:
    sent: int = 0
    acknowledged: int = 0
    refused: int = 0
    waiting_since: deque[float] | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """Records of a run: made, acknowledged, refused for good; and for how long the oldest of the others has waited."""

    sent: int
    acknowledged: int
    refused: int
    lag_s: float

    @property
    def waiting(self) -> int:
        """Records that are neither acknowledged nor refused."""
        return self.sent - self.acknowledged - self.refused


@dataclass(slots=True)
class DeliveryCounts:
    """Counts records by run between the packing and the sending thread."""

    _runs: dict[str, _Tally] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin_again_in_child(self) -> None:
        """Forget what the parent sends."""
        self._runs, self._lock = {}, threading.Lock()

    def made(self, run_ids: Iterable[str]) -> None:
        """Count records that were made now, one for each id."""
        now = time.monotonic()
        with self._lock:
            for run_id in run_ids:
                tally = self._runs.setdefault(run_id, _Tally())
                tally.sent += 1
                if tally.waiting_since is None:
                    tally.waiting_since = deque()
                tally.waiting_since.append(now)

    def settled(self, run_ids: Iterable[str], *, is_refused: bool) -> None:
        """Count the oldest records of these runs as acknowledged, or as refused for good."""
        with self._lock:
            for run_id in run_ids:
                tally = self._runs[run_id]
                if is_refused:
                    tally.refused += 1
                else:
                    tally.acknowledged += 1
                assert tally.waiting_since, "what is settled was made"
                tally.waiting_since.popleft()
                if not tally.waiting_since:
                    tally.waiting_since = None  # an empty deque is 600 bytes, and a process may have many runs

    def of_run(self, run_id: str) -> Counted:
        """Return the counts of a run."""
        with self._lock:
            tally = self._runs.get(run_id, _Tally())
            lag_s = time.monotonic() - tally.waiting_since[0] if tally.waiting_since else 0.0
            return Counted(tally.sent, tally.acknowledged, tally.refused, lag_s)


def delivery_of(settings: Settings, outbox: Outbox, losses: Losses, run_id: str) -> Delivery:
    """Return what became of a run's records; the other side is asked, and may take a few seconds to answer."""
    arrived, unknown_because = _arrived(settings, run_id)
    counted = outbox.counts.of_run(run_id)
    spooled = min(outbox.kept_of(run_id), counted.waiting)
    return Delivery(
        run_id=run_id,
        sent=counted.sent,
        acknowledged=counted.acknowledged,
        spooled=spooled,
        in_memory=counted.waiting - spooled,
        refused=counted.refused,
        lag_s=counted.lag_s,
        dropped=losses.counts(),
        rejected=() if arrived is None else arrived.rejected,
        processes=() if arrived is None else arrived.processes,
        status=None if arrived is None else arrived.status,
        is_complete=arrived is not None and arrived.is_complete,
        unprojected_records=None if arrived is None else arrived.unprojected_records,
        unknown_because=unknown_because,
    )


def _arrived(settings: Settings, run_id: str) -> tuple[Arrived | None, str | None]:
    if settings.is_offline:
        return None, "this session is offline; `mltrail sync` sends what is spooled"
    from mltrail._reader import open_reader  # loads what only reads need

    try:
        return open_reader(settings.destination).delivery(run_id), None
    except MltrailError as error:
        return None, str(error)
