"""Events about whether a run's writers are alive; they stand in the partition of the run's id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class RunLost:
    """Emitted by the reaper: nothing was heard of the run's writers since `last_seen_us` (the server's clock), which is
    longer ago than the lease of `lease_s` seconds. Changes nothing unless the run is active and RUNNING."""

    WIRE_NAME: ClassVar[str] = "run_lost"
    occurred_us: int
    run_id: str
    last_seen_us: int
    lease_s: int


@dataclass(frozen=True, slots=True)
class RunReturned:
    """Emitted by the reaper: a writer of a lost run was heard of again, at `seen_us` (the server's clock). Changes
    nothing unless the run counts as lost."""

    WIRE_NAME: ClassVar[str] = "run_returned"
    occurred_us: int
    run_id: str
    seen_us: int
