"""Where a deployment keeps what jobs work on, and how webhooks are called."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mltrail_core.webhook_target import TargetRules
from mltrail_jobs.leases import Leases
from mltrail_jobs.webhook_retries import RetryPolicy


@dataclass(frozen=True, slots=True)
class Webhooks:
    """What deliveries are signed with, where they may go, and how often they are tried."""

    secrets: Path | None = None
    targets: TargetRules = field(default_factory=TargetRules)
    retries: RetryPolicy = field(default_factory=RetryPolicy)


@dataclass(frozen=True, slots=True)
class Places:
    """The three URLs that every role is started with. They may carry passwords, so they are never put into a queue."""

    log_url: str
    store_url: str
    artifacts_url: str
    leases: Leases = field(default_factory=Leases)
    webhooks: Webhooks = field(default_factory=Webhooks)
