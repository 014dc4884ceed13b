"""Where a deployment keeps what jobs work on."""

from __future__ import annotations

from dataclasses import dataclass, field

from mltrail_jobs.leases import Leases


@dataclass(frozen=True, slots=True)
class Places:
    """The three URLs that every role is started with. They may carry passwords, so they are never put into a queue."""

    log_url: str
    store_url: str
    artifacts_url: str
    leases: Leases = field(default_factory=Leases)
