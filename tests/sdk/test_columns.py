"""Points that calls have logged one by one become blocks of each run's own points and keys."""

from __future__ import annotations

from mltrail._columns import BLOCK_POINTS, blocks_of
from mltrail._points import Entry
from mltrail._stream import Stream, Writer
from mltrail_core.events import MetricsLogged
from mltrail_core.ids import new_run_id
from mltrail_core.metric_block import MetricBlock, block_of_event


def _stream() -> Stream:
    return Stream(new_run_id(), Writer("ann", "host", 1, 0), owns_status=True)


def _blocks(entries: list[Entry]) -> list[tuple[Stream, MetricBlock]]:
    found = []
    for stream, sized in blocks_of(entries):
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
    blocks = [block for _, block in _blocks(entries)]
    assert [block.keys for block in blocks] == [("key 0",), ("key 1",)]
    assert [step for block in blocks for step in block.steps.tolist()] == list(range(count))
    assert _blocks([]) == []
