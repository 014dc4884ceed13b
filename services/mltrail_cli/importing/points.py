"""Which points of a run's metrics are missing here, compared point by point, one metric in memory at a time."""

from __future__ import annotations

import math
import struct
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence

from sqlalchemy import select

from mltrail_cli.importing.source import Source, SourceLink, SourceRun
from mltrail_cli.importing.tally import Tally
from mltrail_core.events import MetricsLogged
from mltrail_core.metric_block import MetricPoint, block_of_points
from mltrail_core.readmodel.store import ReadModel
from mltrail_core.readmodel.tables import logged_model_metrics
from mltrail_core.series import stream_series

_POINTS_PER_EVENT = 10_000
"""About 280 KB."""

_Target = tuple[str | None, str | None, str | None]
"""What a point is linked to: logged model, name and digest of a dataset."""
_UNLINKED: _Target = (None, None, None)
_Exact = tuple[int, int, bytes]


def missing_points(
    source: Source, run: SourceRun, read_model: ReadModel, known_keys: Sequence[str], tally: Tally
) -> Iterator[MetricsLogged]:
    """Yield the points of the run that the read model lacks, and those it has without their link to a logged model.

    Args:
        source: where the run is from.
        run: the run.
        read_model: has projected the log.
        known_keys: the metrics that the run here has points of.
        tally: is told of each point.
    """
    links, linked_here = _links(source.links(run)), _linked_here(read_model, run.run_id)
    tally.count("logged model metrics", sum(len(targets) for targets in links.values()))
    waiting = defaultdict[_Target, list[MetricPoint]](list)
    for key in run.metric_keys:
        here = _points_here(read_model, run.run_id, key) if key in known_keys else frozenset()
        for point in source.points(run, key):
            tally.count("points")
            exact = _exact(point)
            linked = links.pop((key, exact), ())
            targets = [target for target in linked if (key, exact[:2], target) not in linked_here]
            tally.lacks("logged model metrics", len(targets))
            if exact not in here:
                tally.lacks("points")
                targets = targets or [_UNLINKED]
            for target in targets:
                waiting[target].append(point)
                if len(waiting[target]) == _POINTS_PER_EVENT:
                    yield _event(run, target, waiting.pop(target))
    for target, points in waiting.items():
        yield _event(run, target, points)
    if links:
        key, (step, time_us, _) = next(iter(links))
        tally.problems.append(
            f"run {run.run_id}: {len(links)} metrics of logged models are not among its own, such as {key!r} at step "
            f"{step} and {time_us} µs; they are left out"
        )


def _event(run: SourceRun, target: _Target, points: Sequence[MetricPoint]) -> MetricsLogged:
    model_id, dataset_name, dataset_digest = target
    return block_of_points(points).to_event(
        run.run_id,
        points[-1].time_us,
        model_id=model_id,
        dataset_name=dataset_name,
        dataset_digest=dataset_digest,
    )


def _exact(point: MetricPoint) -> _Exact:
    value = math.nan if math.isnan(point.value) else point.value  # one NaN of the many
    # MLflow's databases keep ±Infinity of runs as the largest numbers, and of logged models as it is.
    value = math.copysign(sys.float_info.max, value) if math.isinf(value) else value
    return point.step, point.time_us, struct.pack("<d", value)


def _points_here(read_model: ReadModel, run_id: str, key: str) -> frozenset[_Exact]:
    found: set[_Exact] = set()
    with read_model.reading() as connection:
        for part in stream_series(connection, run_id, key):
            found.update(_exact(point) for point in part.points(key))
    return frozenset(found)


def _links(links: Sequence[SourceLink]) -> dict[tuple[str, _Exact], list[_Target]]:
    found = defaultdict[tuple[str, _Exact], list[_Target]](list)
    for link in links:
        target = (link.model_id, link.dataset_name or None, link.dataset_digest or None)
        found[link.point.key, _exact(link.point)].append(target)
    return dict(found)


def _linked_here(read_model: ReadModel, run_id: str) -> frozenset[tuple[str, tuple[int, int], _Target]]:
    table = logged_model_metrics.c
    query = select(
        table.key, table.step, table.time_us, table.model_id, table.dataset_name, table.dataset_digest
    ).where(table.run_id == run_id)
    with read_model.reading() as connection:
        return frozenset(
            (key, (step, time_us), (model_id, name or None, digest or None))
            for key, step, time_us, model_id, name, digest in connection.execute(query)
        )
