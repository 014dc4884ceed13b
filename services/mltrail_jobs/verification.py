"""The job that hashes stored artifacts again, a slice of them a round, and says which are missing or corrupt.

Where a round begins follows from its number and not from what earlier rounds did, so no state has to be kept or can be
lost: the space of hashes is cut into a power of two of equal slices, and round n takes slice n modulo their number.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from sqlalchemy import func, select

from mltrail_core.artifacts import ArtifactStore, open_artifact_store
from mltrail_core.errors import NotFound
from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_core.readmodel.tables import artifact_versions

BLOBS_PER_ROUND = 1000
BYTES_PER_ROUND = 8 << 30
"""About a minute of hashing or of one S3 connection. Hashes spread evenly, so a slice holds about its share of both."""
_SLICE_BITS_MAX = 32

logger: structlog.stdlib.BoundLogger = structlog.get_logger("mltrail.jobs")


class Interrupted(Exception):
    """The job was told to stop before its end; it is to be run again."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Part `number` of the `count` equal parts of all hashes; `count` is a power of two."""

    number: int
    count: int

    @property
    def first(self) -> str:
        """The 8 hex digits that the slice's first hash begins with."""
        return f"{self.number * (1 << _SLICE_BITS_MAX) // self.count:08x}"

    @property
    def last(self) -> str:
        """The 8 hex digits that the slice's last hash begins with."""
        return f"{(self.number + 1) * (1 << _SLICE_BITS_MAX) // self.count - 1:08x}"


@dataclass(frozen=True, slots=True)
class ExpectedBlob:
    """What the read model says of a blob, with one of the places that name it."""

    sha256: str
    size_bytes: int
    owner: str
    path: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What a round found."""

    checked: int
    checked_bytes: int
    missing: tuple[ExpectedBlob, ...]
    corrupt: tuple[ExpectedBlob, ...]


def slice_of_round(read_model: ReadModel, round_number: int) -> Slice:
    """Return the part of all blobs that a round looks at, so small that every round is bounded."""
    blobs = (
        select(artifact_versions.c.sha256, func.max(artifact_versions.c.size_bytes).label("size_bytes"))
        .where(artifact_versions.c.sha256.is_not(None))
        .group_by(artifact_versions.c.sha256)
        .subquery()
    )
    with read_model.reading() as connection:
        count, size_bytes = connection.execute(
            select(func.count(), func.coalesce(func.sum(blobs.c.size_bytes), 0)).select_from(blobs)
        ).one()
    rounds = max(int(count) / BLOBS_PER_ROUND, int(size_bytes) / BYTES_PER_ROUND)
    slices = 1
    while slices < rounds and slices < 1 << _SLICE_BITS_MAX:
        slices *= 2
    return Slice(round_number % slices, slices)


def verify_artifacts(
    store_url: str, artifacts_url: str, round_number: int, *, should_stop: Callable[[], bool] = lambda: False
) -> Verification:
    """Hash the round's slice of all blobs that the read model names, also for paths that were overwritten or deleted.

    What is missing or corrupt is logged as an error, each with a run and path that name it. Idempotent.

    Raises:
        Interrupted: `should_stop` became true.
        Unavailable: read model or store failed.
    """
    with contextlib.closing(open_read_model(store_url)) as read_model:
        part = slice_of_round(read_model, round_number)
        expected = _expected_blobs(read_model, part)
    checked_bytes = 0
    missing: list[ExpectedBlob] = []
    corrupt: list[ExpectedBlob] = []
    with contextlib.closing(open_artifact_store(artifacts_url)) as store:
        for blob in expected:
            try:
                found = _hash_blob(store, blob.sha256, should_stop)
            except NotFound:
                missing.append(blob)
                _report("artifact is missing from the store: restore it from a backup", "artifact_missing", blob)
                continue
            checked_bytes += blob.size_bytes
            if found != blob.sha256:
                corrupt.append(blob)
                _report("artifact is corrupt: restore it from a backup", "artifact_corrupt", blob, found_sha256=found)
    level = logger.error if missing or corrupt else logger.info
    level(
        "artifacts verified",
        action="artifacts_verified",
        checked=len(expected),
        checked_bytes=checked_bytes,
        missing=len(missing),
        corrupt=len(corrupt),
        part=f"{part.number + 1} of {part.count}",
    )
    return Verification(len(expected), checked_bytes, tuple(missing), tuple(corrupt))


def _expected_blobs(read_model: ReadModel, part: Slice) -> list[ExpectedBlob]:
    column = artifact_versions.c
    query = (
        select(column.sha256, func.max(column.size_bytes), func.min(column.owner + "/" + column.path))
        .where(column.sha256 >= part.first, column.sha256 <= part.last + "f" * 56)
        .group_by(column.sha256)
        .order_by(column.sha256)
    )
    with read_model.reading() as connection:
        rows = connection.execute(query).all()
    return [ExpectedBlob(sha256, size_bytes, *place.split("/", 1)) for sha256, size_bytes, place in rows]


def _hash_blob(store: ArtifactStore, sha256: str, should_stop: Callable[[], bool]) -> str:
    found = hashlib.sha256()
    with store.open(sha256) as stream:
        for chunk in stream:
            if should_stop():
                raise Interrupted(f"told to stop while artifact {sha256} was hashed")
            found.update(chunk)
    if should_stop():
        raise Interrupted(f"told to stop after artifact {sha256} was hashed")
    return found.hexdigest()


def _report(message: str, action: str, blob: ExpectedBlob, **fields: str) -> None:
    logger.error(
        message,
        action=action,
        sha256=blob.sha256,
        size_bytes=blob.size_bytes,
        owner=blob.owner,
        path=blob.path,
        **fields,
    )
