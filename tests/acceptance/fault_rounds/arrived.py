"""What the read model and the artifact store have of a run, in the words in which trainers said it."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import select

from mltrail_core.artifacts import ArtifactStore
from mltrail_core.readmodel import tables
from mltrail_core.readmodel.store import ReadModel
from mltrail_core.series import logged_points

Fact = tuple[str, str, object, object]
"""A kind, a key, and what it has: a point's step and value, a text, or a file's size and hash."""


@dataclass(frozen=True, slots=True)
class ProducerMarks:
    """What was received of one producer of the run."""

    process_id: int | None
    intervals: str
    last_sequence: int | None


@dataclass(frozen=True, slots=True)
class ArrivedRun:
    """A run as the read model shows it."""

    status: str | None
    """None when there is no such run."""
    facts: Counter[Fact]
    producers: tuple[ProducerMarks, ...]
    faults: tuple[str, ...]
    """What is wrong whatever the trainers said."""


def arrived_run(run_id: str, read_model: ReadModel, artifacts: ArtifactStore) -> ArrivedRun:
    """Return all of a run; the bytes of its artifacts are read and hashed."""
    facts: Counter[Fact] = Counter()
    faults: list[str] = []
    with read_model.reading() as connection:
        status = connection.execute(select(tables.runs.c.status).where(tables.runs.c.run_id == run_id)).scalar()
        points = [point for key, part in logged_points(connection, run_id) for point in part.points(key)]
        for table, kind in ((tables.params, "param"), (tables.tags, "tag")):
            rows = connection.execute(select(table.c.key, table.c.value).where(table.c.run_id == run_id))
            # The others are those that mltrail sets itself.
            facts.update((kind, key, value, None) for key, value in rows if key.startswith(f"{kind}/"))
        files = connection.execute(
            select(tables.artifacts.c.path, tables.artifacts.c.size_bytes, tables.artifacts.c.sha256).where(
                tables.artifacts.c.owner == run_id
            )
        ).all()
        summaries = connection.execute(
            select(tables.metric_summaries.c.key, tables.metric_summaries.c.logged_points).where(
                tables.metric_summaries.c.run_id == run_id
            )
        ).all()
        producers = connection.execute(
            select(tables.producers.c.process_id, tables.producers.c.intervals, tables.producers.c.last_sequence).where(
                tables.producers.c.run_id == run_id
            )
        ).all()
        rejected = connection.execute(
            select(tables.rejections.c.message).where(tables.rejections.c.subject == run_id)
        ).scalars()
        faults += [f"rejected: {message}" for message in rejected]
    for point in points:
        facts["point", point.key, point.step, point.value] += 1
    counted = Counter(point.key for point in points)
    if counted != Counter(dict(tuple(row) for row in summaries)):
        faults.append(f"the summaries count {dict(tuple(row) for row in summaries)} points, there are {dict(counted)}")
    for path, size_bytes, sha256 in files:
        facts["artifact", path, size_bytes, sha256] += 1
        if (stored := _hash_of(artifacts, sha256)) != sha256:
            faults.append(f"artifact {path}: its bytes have the hash {stored}, not {sha256}")
    return ArrivedRun(status, facts, tuple(ProducerMarks(*row) for row in producers), tuple(faults))


def _hash_of(artifacts: ArtifactStore, sha256: str) -> str:
    hashed = hashlib.sha256()
    with artifacts.open(sha256) as stream:
        for chunk in stream:
            hashed.update(chunk)
    return hashed.hexdigest()
