"""The packing thread: takes what was said from the buffer, puts points into columns and freezes records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from mltrail._buffer import Buffer, Close, Ensure, Flush, Item, Point, Said
from mltrail._losses import Losses
from mltrail._outbox import Outbox
from mltrail._stream import Outgoing, Sized, Stream
from mltrail_core.clock import now_us
from mltrail_core.metric_block import MetricBlock

BLOCK_POINTS = 16_384
"""Points of one event: 28 bytes each, so a block just fits a record of good size."""
_POINT_BYTES = 28
_FULL_OUTBOX_PAUSE_S = 0.05


class Packer:
    """Moves from buffer to outbox; one thread calls `step`."""

    def __init__(self, buffer: Buffer, outbox: Outbox, losses: Losses, interval_s: float) -> None:
        self._buffer = buffer
        self._outbox = outbox
        self._losses = losses
        self._interval_s = interval_s

    def step(self) -> float:
        """Pack what there is; return the seconds to pause.

        Points are taken before items, and items are packed before points: so a point never precedes the creation of its
        run, whatever was appended in between.
        """
        if not self._outbox.has_room():
            return _FULL_OUTBOX_PAUSE_S
        points = self._buffer.take_points(BLOCK_POINTS)
        items = self._buffer.take_items()
        if any(isinstance(item, Close | Flush) for item in items):
            # What was logged before the end of a run, or before a flush, has to leave with it.
            points += self._buffer.take_points(len(self._buffer.points))
        if points or items:
            self._pack(points, items)
        return 0.0 if len(points) >= BLOCK_POINTS else self._interval_s

    def _pack(self, points: Sequence[Point], items: Sequence[Item]) -> None:
        said: dict[Stream, list[Sized]] = {}
        closes: list[Close] = []
        flushes: list[Flush] = []
        outgoing: list[Outgoing] = []
        for item in items:
            match item:
                case Said(stream, sized):
                    said.setdefault(stream, []).append(sized)
                case Ensure(stream, event):
                    outgoing.append(stream.ensure_experiment(event))
                case Close():
                    closes.append(item)
                case Flush():
                    flushes.append(item)
        for stream, block in blocks_of(points):
            said.setdefault(stream, []).append(block)
        try:
            closing = {close.stream for close in closes}
            for stream, sized_events in said.items():
                if stream.is_closed:
                    self._losses.add(
                        "params, tags or points dropped, their run had ended",
                        sum(max(1, sized.point_count) for sized in sized_events),
                        detail=f"run {stream.run_id}",
                    )
                elif stream not in closing:
                    outgoing.extend(stream.cut(sized_events))
            for close in closes:
                if not close.stream.is_closed:
                    outgoing.extend(close.stream.close(said.get(close.stream, []), close.status))
        finally:
            # Also after a fault: numbers that were given out must arrive, and nobody may wait for what never comes.
            position = self._outbox.put(outgoing)
            for flush in (*flushes, *(close.flush for close in closes)):
                flush.position = position
                flush.packed.set()


def blocks_of(points: Sequence[Point]) -> Iterable[tuple[Stream, Sized]]:
    """Yield the points in columns, each stream's in the order in which they were logged."""
    for start in range(0, len(points), BLOCK_POINTS):
        chunk = points[start : start + BLOCK_POINTS]
        first = chunk[0][0]
        if all(point[0] is first for point in chunk):
            yield first, _block(first, chunk)
            continue
        by_stream: dict[Stream, list[Point]] = {}
        for point in chunk:
            by_stream.setdefault(point[0], []).append(point)
        for stream, own in by_stream.items():
            yield stream, _block(stream, own)


def _block(stream: Stream, points: Sequence[Point]) -> Sized:
    _, keys, values, steps, times_ns = zip(*points, strict=True)
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    block = MetricBlock(
        tuple(numbers),
        np.array([numbers[key] for key in keys], dtype="<u4"),
        np.array(steps, dtype="<i8"),
        np.array(times_ns, dtype="<i8") // 1000,
        np.array(values, dtype="<f8"),
    )
    return sized_block(stream, block)


def sized_block(stream: Stream, block: MetricBlock) -> Sized:
    """Return the event that logs the block to the stream's run."""
    keys_bytes = sum(len(key) * 4 for key in block.keys)
    return Sized(block.to_event(stream.run_id, now_us()), _POINT_BYTES * len(block) + keys_bytes + 200, len(block))
