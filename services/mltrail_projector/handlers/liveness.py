"""What it changes that a run's writers went silent, or are heard of again.

A lost run keeps its status: it is lost until a writer returns, or until somebody says what became of it.
"""

from __future__ import annotations

from datetime import UTC, datetime

from mltrail_core.events import RunLost, RunReturned
from mltrail_core.readmodel import tables
from mltrail_core.rules import LOST_TAG, Reason
from mltrail_projector.fold import Fold, Place, Reject

_END_OF_CALENDAR_US = 253_402_300_800_000_000
"""The year 10000, which no date can say."""
_MAX_LEASE_S = 1 << 31


def lost(event: RunLost, fold: Fold, place: Place) -> None:
    """The run counts as lost, and its tag says since when, unless it is not RUNNING, is deleted, or is lost already."""
    if not 0 <= event.last_seen_us < _END_OF_CALENDAR_US or not 0 <= event.lease_s < _MAX_LEASE_S:
        raise Reject(
            Reason.INVALID, f"last seen at {event.last_seen_us} µs with a lease of {event.lease_s} s: no dates"
        )
    run = fold.rows.get(tables.runs, event.run_id)
    if run is None:
        raise Reject(Reason.UNKNOWN_SUBJECT, f"there is no run {event.run_id}")
    if run["status"] != "RUNNING" or run["is_deleted"] or fold.rows.get(tables.lost_runs, event.run_id) is not None:
        return
    fold.rows.put(
        tables.lost_runs,
        {
            "run_id": event.run_id,
            "last_seen_us": event.last_seen_us,
            "lease_s": event.lease_s,
            "lost_us": place.appended_us,
            "index": place.index,
        },
    )
    fold.catalogue.note(run["experiment_id"], "tag", place.partition, (LOST_TAG,))
    last_seen = datetime.fromtimestamp(event.last_seen_us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    fold.rows.put(tables.tags, {"run_id": event.run_id, "key": LOST_TAG, "value": f"last seen {last_seen} UTC"})


def returned(event: RunReturned, fold: Fold, place: Place) -> None:
    """The run no longer counts as lost; nothing changes when it did not."""
    find(event.run_id, fold)


def find(run_id: str, fold: Fold) -> None:
    """Let a run no longer count as lost, if it does."""
    if fold.rows.get(tables.lost_runs, run_id) is not None:
        fold.rows.delete(tables.lost_runs, run_id)
        fold.rows.delete(tables.tags, run_id, LOST_TAG)
