"""Points that calls have logged one by one become blocks of each run's own points and keys."""

from __future__ import annotations

from mltrail._columns import BLOCK_POINTS, TakenPoints, put_together, sized_block
from mltrail._points import ENTRIES, Entry
from mltrail._series import series_blocks
from mltrail._stream import Sized, Stream, Writer
from mltrail_core.events import MetricsLogged, TagSet
from mltrail_core.ids import new_run_id
from mltrail_core.metric_block import MetricBlock, block_of_event


def _stream() -> Stream:
    return Stream(new_run_id(), Writer("ann", "host", 1, 0), owns_status=True)


def _blocks(entries: list[Entry], slice_points: int = 3) -> list[tuple[Stream, MetricBlock]]:
    found, points = [], TakenPoints()
    for start in range(0, len(entries), slice_points * ENTRIES):
        points.add(entries[start : start + slice_points * ENTRIES])
    assert points.count == len(entries) // ENTRIES
    for stream, sized in points.blocks():
        assert isinstance(sized.event, MetricsLogged)
        found.append((stream, block_of_event(sized.event)))
        assert sized.point_count == len(found[-1][1])
    return found


def test_points_of_several_runs_in_turn_keep_their_order_and_have_only_their_runs_keys() -> None:
    first, second = _stream(), _stream()
    entries: list[Entry] = []
    for step in range(4):
        entries += (first, f"first {step % 2}", step / 2, step, 7_000_000 + step)
        entries += (second, "second", -float(step), 2**63 - 1, step)
    by_stream = dict(_blocks(entries))
    assert by_stream[first].keys == ("first 0", "first 1")
    assert [(p.key, p.value, p.step, p.time_us) for p in by_stream[first].points()] == [
        ("first 0", 0.0, 0, 7000), ("first 1", 0.5, 1, 7000), ("first 0", 1.0, 2, 7000), ("first 1", 1.5, 3, 7000),
    ]  # fmt: skip
    assert by_stream[second].keys == ("second",)
    assert [(p.value, p.step) for p in by_stream[second].points()] == [(-float(n), 2**63 - 1) for n in range(4)]


def test_each_block_of_one_run_names_only_the_keys_that_it_holds() -> None:
    run, count = _stream(), BLOCK_POINTS + 10
    entries = [entry for step in range(count) for entry in (run, f"key {step // BLOCK_POINTS}", 0.5, step, 1000)]
    blocks = [block for _, block in _blocks(entries, slice_points=2048)]
    assert [block.keys for block in blocks] == [("key 0",), ("key 1",)]
    assert [step for block in blocks for step in block.steps.tolist()] == list(range(count))
    assert _blocks([]) == []


def _series(stream: Stream, key: str, first: int, count: int) -> list[Sized]:
    return [sized_block(stream, block) for block in series_blocks(key, range(first, first + count), range(count))]


def test_neighbouring_series_become_one_event_that_holds_all_points_in_order() -> None:
    run = _stream()
    tag = Sized(TagSet(1, run.run_id, "tag", "value"), 100)
    said = [
        *_series(run, "loss", 0, 3), *_series(run, "lr", 7, 2), *_series(run, "loss", 3, 2), tag,
        *_series(run, "lr", 9, 1), tag, tag, *_series(run, "loss", 5, BLOCK_POINTS), *_series(run, "lr", 10, 3000),
    ]  # fmt: skip
    events = [sized.event for sized in put_together(said)]
    assert [type(event).__name__ for event in events] == [
        "MetricsLogged", "TagSet", "MetricsLogged", "TagSet", "TagSet", "MetricsLogged", "MetricsLogged",
    ]  # fmt: skip
    assert [sized.point_count for sized in put_together(said)] == [7, 0, 1, 0, 0, BLOCK_POINTS, 3000]
    assert sum(sized.size_bytes for sized in put_together(said)) == sum(sized.size_bytes for sized in said)
    blocks = [block_of_event(event) for event in events if isinstance(event, MetricsLogged)]
    assert [(point.key, point.step) for point in blocks[0].points()] == [
        ("loss", 0), ("loss", 1), ("loss", 2), ("lr", 7), ("lr", 8), ("loss", 3), ("loss", 4),
    ]  # fmt: skip
    given = [block_of_event(sized.event).points() for sized in said if isinstance(sized.event, MetricsLogged)]
    assert [point for block in blocks for point in block.points()] == [point for part in given for point in part]
    assert put_together([]) == []
