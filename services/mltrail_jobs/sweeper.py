"""Which jobs are due: computed, never stored, so that a queue which forgets them is told again.

The jobs here follow from the clock alone. Deliveries of webhooks follow from the read model, see `webhook_desk`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

JobName = Literal[
    "reap_silent_runs",
    "sweep_unfinished_uploads",
    "verify_artifacts",
    "note_uploads",
    "hash_upload",
    "deliver_webhook",
    "compact_metrics",
]

JOB_TIMEOUT_S = 900
REAP_EVERY_S = 10
SWEEP_EVERY_S = 3600
NOTE_EVERY_S = 60
"""How long a file that a client has put by URL may lie there before it is noted, when nobody looks at its run."""
COMPACT_EVERY_S = 20
"""How long points may rest in blocks once there are enough of them; a round goes on for 10 s at most."""
VERIFY_EVERY_S = 900
"""With the bounds of a round: 96,000 blobs or 768 GiB a day."""


@dataclass(frozen=True, slots=True)
class DueJob:
    """Work of one round. `job_id` is the same whoever finds it, so that it is queued once."""

    job_id: str
    name: JobName
    arguments: tuple[int | str, ...]
    """Numbers and ids only: what is queued can be read by everybody who reads the queue."""
    round_s: int
    """How long the round lasts, and so how long its id has to be remembered."""
    timeout_s: int = JOB_TIMEOUT_S
    """How long it may take; one that has not ended after twice as long is taken for lost with its worker."""


def find_due_jobs(now_us: int) -> list[DueJob]:
    """Return the jobs of the rounds that `now_us` lies in.

    A round in which nobody worked is not made up for: the next sweep does all, and a slice of artifacts that was
    missed comes again when all others have been.
    """
    reap_round = now_us // (REAP_EVERY_S * 1_000_000)
    sweep_round = now_us // (SWEEP_EVERY_S * 1_000_000)
    note_round = now_us // (NOTE_EVERY_S * 1_000_000)
    compact_round = now_us // (COMPACT_EVERY_S * 1_000_000)
    verify_round = now_us // (VERIFY_EVERY_S * 1_000_000)
    return [
        DueJob(f"reap_silent_runs-{reap_round}", "reap_silent_runs", (), REAP_EVERY_S),
        DueJob(f"sweep_unfinished_uploads-{sweep_round}", "sweep_unfinished_uploads", (), SWEEP_EVERY_S),
        DueJob(f"note_uploads-{note_round}", "note_uploads", (), NOTE_EVERY_S),
        DueJob(f"compact_metrics-{compact_round}", "compact_metrics", (), COMPACT_EVERY_S),
        DueJob(f"verify_artifacts-{verify_round}", "verify_artifacts", (verify_round,), VERIFY_EVERY_S),
    ]
