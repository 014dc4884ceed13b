"""A log with artifacts of one run, its projected read model, and a store that really holds the bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mltrail_core.artifacts import open_artifact_store
from mltrail_core.clock import now_us
from mltrail_core.events import ArtifactStored, Event
from mltrail_core.ids import ProducerId, new_producer_id, partition_of
from mltrail_core.log import NewRecord, open_log
from mltrail_core.readmodel.store import open_read_model
from mltrail_core.record import Actor, Record, freeze_record
from mltrail_jobs.places import Places
from mltrail_projector.loop import catch_up

RUN = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Deployment:
    """The places of a deployment, and where its blobs lie as files."""

    places: Places
    blobs: Path

    def store(self, contents: dict[str, bytes]) -> dict[str, str]:
        """Put each content and log it under its path; return the hash of each path, once it is in the read model."""
        with contextlib.closing(open_artifact_store(self.places.artifacts_url)) as store:
            stored = {path: store.put([content]) for path, content in contents.items()}
        self.append(
            ArtifactStored(now_us(), RUN, path, blob.size_bytes, blob.sha256, None) for path, blob in stored.items()
        )
        return {path: blob.sha256 for path, blob in stored.items()}

    def append(self, events: Iterable[Event]) -> None:
        """Append the events of the run and project the log."""
        partition = partition_of(RUN)
        record = Record(partition, ProducerId(new_producer_id()), 1, Actor("ann"), tuple(events))
        with (
            contextlib.closing(open_log(self.places.log_url)) as log,
            contextlib.closing(open_read_model(self.places.store_url)) as read_model,
        ):
            log.append([NewRecord(partition, freeze_record(record))])
            catch_up(log, read_model, timeout_s=60)


def deployment_at(folder: Path, log_url: str | None = None, store_url: str | None = None) -> Deployment:
    """Return a deployment in `folder`, with its log and read model elsewhere when their URLs are given."""
    artifacts = folder / "artifacts"
    places = Places(log_url or str(folder / "log"), store_url or str(folder / "read"), str(artifacts))
    return Deployment(places, artifacts / "blobs" / "sha256")
