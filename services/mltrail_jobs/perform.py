"""From a job's name and numbers to the call that does it, wherever it was queued."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

from mltrail_core.errors import Invalid
from mltrail_jobs.compaction import compact_metrics
from mltrail_jobs.hashing import hash_upload
from mltrail_jobs.places import Places
from mltrail_jobs.precedence import Precedence
from mltrail_jobs.reaper import reap_silent_runs
from mltrail_jobs.uploads import note_uploads, sweep_unfinished_uploads
from mltrail_jobs.verification import verify_artifacts
from mltrail_jobs.webhook_desk import DeliveryDesk


@dataclass(frozen=True, slots=True)
class Workplace:
    """What a worker gives to the jobs it runs."""

    places: Places
    stop: threading.Event
    precedence: Precedence
    desk: DeliveryDesk | None = None
    """Of workers that deliver webhooks."""


_WORKPLACE: ContextVar[Workplace] = ContextVar("mltrail_jobs_workplace")


@contextlib.contextmanager
def working_at(
    places: Places, stop: threading.Event, *, precedence: Precedence | None = None, desk: DeliveryDesk | None = None
) -> Iterator[None]:
    """Let `perform` use these places within the block; a queue carries no URL, because URLs carry passwords."""
    token = _WORKPLACE.set(Workplace(places, stop, precedence or Precedence(), desk))
    try:
        yield
    finally:
        _WORKPLACE.reset(token)


def perform(name: str, arguments: Sequence[int | str]) -> dict[str, int]:
    """Do the job `name` and return its counts. Only within `working_at`; repeating it does no harm.

    Raises:
        Invalid: no such job, or not its arguments: it was queued by another version.
        Interrupted: the worker was told to stop; the job is to be run again.
        Unavailable: something it needs can't be reached; it is to be run again.
    """
    here = _WORKPLACE.get()
    match name, list(arguments):
        case "reap_silent_runs", []:
            reaped = reap_silent_runs(here.places.log_url, here.places.store_url, here.places.leases)
            return {"lost": len(reaped.lost), "returned": len(reaped.returned)}
        case "sweep_unfinished_uploads", []:
            return {"swept": sweep_unfinished_uploads(here.places)}
        case "note_uploads", []:
            noted = note_uploads(here.places)
            return {"arrived": noted.arrived, "abandoned": noted.abandoned}
        case "hash_upload", [str(upload_id)]:
            return {hash_upload(here.places, upload_id, should_stop=here.stop.is_set): 1}
        case "compact_metrics", []:
            compacted = compact_metrics(here.places.store_url, should_stop=here.stop.is_set, precedence=here.precedence)
            return {"blocks": compacted.blocks, "chunks": compacted.chunks}
        case "verify_artifacts", [int(round_number)]:
            found = verify_artifacts(
                here.places.store_url, here.places.artifacts_url, round_number, should_stop=here.stop.is_set
            )
            return {"checked": found.checked, "missing": len(found.missing), "corrupt": len(found.corrupt)}
        case "deliver_webhook", [str(delivery_id), int(attempts)] if here.desk is not None:
            return {here.desk.deliver(delivery_id, attempts): 1}
    raise Invalid(f"job {name!r} with arguments {list(arguments)} is not known to this version of mltrail")
