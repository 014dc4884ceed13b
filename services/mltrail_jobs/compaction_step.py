"""One step of a run's compaction, prepared from a snapshot: which blocks are taken, and what they are replaced by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Connection, bindparam, select

from mltrail_core.metric_block import MetricBlock, concatenate
from mltrail_core.readmodel.tables import metric_blocks, metric_chunks
from mltrail_core.series.chunk import chunks_of, logged_points_of
from mltrail_core.series.loose import block_of_rows
from mltrail_core.series.series import Places, Series, in_order, joined
from mltrail_core.series.spans import Span, read_spans_of_keys
from mltrail_jobs.compaction_plan import Group, plan_chunks, waiting

MIN_CHUNK_POINTS = 512
"""A chunk of fewer points takes longer to find and unpack than its points in a block of many metrics."""
MIN_POINTS_OF_MANY = 64
"""The same where a run has so many metrics that a whole step brings each of them less."""
STEP_BLOCKS = 20_000
STEP_POINTS = 1 << 20
"""A step takes at most so many blocks and about so many points: 30 MB, a second's work, one transaction."""
SMALL_POINTS = 4096
"""Of the blocks that earlier steps left, those up to here are always taken; larger ones only with half as much new."""
_ROWS_PER_QUERY = 5000

BlockName = tuple[int, int]
"""`last_index` and `number`: 0 as the projector wrote it, more for what compactions left."""
Row = dict[str, object]


@dataclass(slots=True)
class Change:
    """What a step replaces, and the rows that take its place."""

    blocks: list[BlockName]
    has_more: bool
    """Whether the run has more than one step allows."""
    chunks: list[Row] = field(default_factory=list)
    replaced: list[tuple[str, int]] = field(default_factory=list)
    """Key and number of chunks."""
    rest: Row = field(default_factory=dict)
    """The block of what is in no chunk. There is one even of nothing: its index says when the run was last written."""


def plan_step(connection: Connection, run_id: str) -> Change | None:
    """Return what to change of the run, None when its blocks are best left as they are."""
    blocks, has_more = _chosen_blocks(connection, run_id)
    if not blocks:
        return None
    whole = _read_blocks(connection, run_id, blocks)
    min_points = MIN_POINTS_OF_MANY if len(whole) >= STEP_POINTS // 2 else MIN_CHUNK_POINTS
    places = {key: its for key, its in _places_by_key(whole).items() if len(its) >= min_points}
    if len(blocks) == 1 and not places and blocks[0][1]:
        return None
    change = Change(blocks, has_more)
    is_left = np.ones(len(whole), dtype=np.bool_)
    rest: list[MetricBlock] = []
    spans = read_spans_of_keys(connection, run_id, list(places))
    for key, its in places.items():
        fresh = in_order(whole.steps[its], whole.times_us[its], whole.values[its])
        plan = plan_chunks(fresh, spans.get(key, ()), min_points)
        number = max((span.number for span in spans.get(key, ())), default=0)
        for group in plan.groups:
            number = _make_anew(connection, change, run_id, key, number, group, fresh)
        change.has_more |= plan.has_more
        is_left[its] = False
        left = waiting(fresh, plan)
        rest.append(MetricBlock((key,), np.zeros(len(left), np.uint32), left.steps, left.times_us, left.values))
    rest.append(_cut(whole, np.flatnonzero(is_left)))
    change.rest = _row_of_rest(run_id, blocks[-1], concatenate(block for block in rest if len(block)))
    return change if change.chunks or len(blocks) > 1 or not blocks[0][1] else None


def _chosen_blocks(connection: Connection, run_id: str) -> tuple[list[BlockName], bool]:
    """Return the blocks to take, by index, and whether there are more than that: new ones, then what is not larger."""
    table = metric_blocks.c
    query = select(table.last_index, table.number, table.point_count).where(table.run_id == run_id)
    rows = connection.execute(query.order_by(table.last_index, table.number).limit(STEP_BLOCKS)).all()
    has_more = len(rows) == STEP_BLOCKS
    chosen: list[BlockName] = []
    points = 0
    for last_index, number, count in sorted(rows, key=lambda row: (row.number > 0, row.number and row.point_count)):
        if number and chosen and count > max(SMALL_POINTS, 2 * points):
            break
        if chosen and points + count > STEP_POINTS:
            has_more |= not number
            break
        chosen.append((last_index, number))
        points += count
    return sorted(chosen), has_more


def _read_blocks(connection: Connection, run_id: str, names: Sequence[BlockName]) -> MetricBlock:
    table = metric_blocks.c
    packed: list[bytes] = []
    wanted = set(names)
    for first in range(0, len(names), _ROWS_PER_QUERY):
        indices = [last_index for last_index, _ in names[first : first + _ROWS_PER_QUERY]]
        query = select(table.last_index, table.number, table.block).where(
            table.run_id == run_id, table.last_index.in_(indices)
        )
        packed += [row.block for row in connection.execute(query) if (row.last_index, row.number) in wanted]
    return block_of_rows(packed)


def _places_by_key(block: MetricBlock) -> dict[str, Places]:
    order = np.argsort(block.key_indices, kind="stable")
    ends = np.searchsorted(block.key_indices[order], np.arange(len(block.keys) + 1))
    return {key: order[ends[number] : ends[number + 1]] for number, key in enumerate(block.keys)}


def _make_anew(
    connection: Connection, change: Change, run_id: str, key: str, number: int, group: Group, fresh: Series
) -> int:
    """Add the chunks of the group to the change, and return the last number that was given to a chunk of the metric."""
    points = fresh.at(slice(group.first, group.end))
    if group.spans:
        change.replaced += [(key, span.number) for span in group.spans]
        points = joined([*_logged_points(connection, run_id, key, group.spans), points])
        points = in_order(points.steps, points.times_us, points.values)
    for chunk in chunks_of(points):
        number += 1
        change.chunks.append({"run_id": run_id, "key": key, "number": number, **chunk.row()})
    return number


def _logged_points(connection: Connection, run_id: str, key: str, spans: Sequence[Span]) -> list[Series]:
    names = [{"its_run": run_id, "its_key": key, "its_number": span.number} for span in spans]
    return [logged_points_of(connection.execute(_COLUMNS, name).scalar_one()) for name in names]


_COLUMNS = select(metric_chunks.c["columns"]).where(
    metric_chunks.c.run_id == bindparam("its_run"),
    metric_chunks.c.key == bindparam("its_key"),
    metric_chunks.c.number == bindparam("its_number"),
)
"""Made once: for thousands of metrics with few points each, making it takes longer than all else."""


def _cut(block: MetricBlock, places: Places) -> MetricBlock:
    """Return the block's points at these places, with no more keys than they have."""
    numbers, key_indices = np.unique(block.key_indices[places], return_inverse=True)
    return MetricBlock(
        tuple(block.keys[number] for number in numbers.tolist()),
        key_indices.astype(np.uint32),
        block.steps[places],
        block.times_us[places],
        block.values[places],
    )


def _row_of_rest(run_id: str, last: BlockName, rest: MetricBlock) -> Row:
    last_index, number = last
    return {
        "run_id": run_id,
        "last_index": last_index,
        "number": number + 1,  # another name than any block had, so that one who knows the old name finds it gone
        "point_count": len(rest),
        "block": rest.to_bytes(),
    }
