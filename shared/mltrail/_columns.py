"""Points in columns: what calls have logged one by one becomes the metric blocks of records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import cast

import numpy as np
import numpy.typing as npt

from mltrail._points import ENTRIES, Entry
from mltrail._stream import Sized, Stream
from mltrail_core.clock import now_us
from mltrail_core.events import MetricsLogged
from mltrail_core.gathered_points import GatheredPoints
from mltrail_core.metric_block import MetricBlock
from mltrail_core.record import GOOD_RECORD_BYTES

BLOCK_POINTS = 16_384
"""Points of one event: 28 bytes each, so a block just fits a record of good size."""
_POINT_BYTES = 28


class TakenPoints:
    """Points in columns, put together from slices of what calls have logged: each is the work of a fraction of a
    millisecond, after which another thread may have the interpreter."""

    def __init__(self) -> None:
        self.count = 0
        self._numbers: dict[str, int] = {}
        """Of all keys, in the order in which they came."""
        self._of_streams: dict[Stream, list[_Columns]] = {}

    def add(self, points: Sequence[Entry]) -> None:
        """Append points, in the order in which they were logged."""
        if not points:
            return
        count = len(points) // ENTRIES
        self.count += count
        streams = cast(Sequence[Stream], points[0::ENTRIES])
        columns = self._columns(count, points)
        if streams.count(streams[0]) == count:
            self._of_streams.setdefault(streams[0], []).append(columns)
            return
        places = {stream: place for place, stream in enumerate(dict.fromkeys(streams))}
        place_of = np.frombuffer(Struct(f"<{count}I").pack(*map(places.__getitem__, streams)), "<u4")
        for stream, place in places.items():
            self._of_streams.setdefault(stream, []).append(columns.at(place_of == place))

    def blocks(self) -> Iterator[tuple[Stream, Sized]]:
        """Yield all points in blocks, each stream's in the order in which they were logged."""
        keys = tuple(self._numbers)
        for stream, parts in self._of_streams.items():
            columns = parts[0] if len(parts) == 1 else _in_a_row(parts)
            for start in range(0, len(columns.values), BLOCK_POINTS):
                yield stream, sized_block(stream, columns.at(slice(start, start + BLOCK_POINTS)).block(keys))

    def _columns(self, count: int, points: Sequence[Entry]) -> _Columns:
        keys, numbers = cast(Sequence[str], points[1::ENTRIES]), self._numbers
        for key in dict.fromkeys(keys):
            numbers.setdefault(key, len(numbers))
        # `Struct` packs a list in less than half the time that NumPy takes to look at each entry.
        return _Columns(
            np.frombuffer(Struct(f"<{count}I").pack(*map(numbers.__getitem__, keys)), "<u4"),
            np.frombuffer(Struct(f"<{count}q").pack(*points[3::ENTRIES]), "<i8"),
            np.frombuffer(Struct(f"<{count}q").pack(*points[4::ENTRIES]), "<i8") // 1000,
            np.frombuffer(Struct(f"<{count}d").pack(*points[2::ENTRIES]), "<f8"),
        )


def sized_block(stream: Stream, block: MetricBlock) -> Sized:
    """Return the event that logs the block to the stream's run."""
    keys_bytes = sum(len(key) * 4 for key in block.keys)
    return Sized(block.to_event(stream.run_id, now_us()), _POINT_BYTES * len(block) + keys_bytes + 200, len(block))


def put_together(said: Sequence[Sized]) -> list[Sized]:
    """Return the events with neighbouring blocks of points as one, up to a record's good size.

    Series of a hundred points each would be a hundred events of a record, and each costs who packs it, and who projects
    it, as much as thousands of points.
    """
    found: list[Sized] = []
    neighbours: list[Sized] = []
    size_bytes = 0
    for sized in said:
        if neighbours and (not _is_block(sized) or size_bytes + sized.size_bytes > GOOD_RECORD_BYTES):
            found.append(_as_one(neighbours))
            neighbours, size_bytes = [], 0
        if _is_block(sized):
            neighbours.append(sized)
            size_bytes += sized.size_bytes
        else:
            found.append(sized)
    if neighbours:
        found.append(_as_one(neighbours))
    return found


def _is_block(sized: Sized) -> bool:
    return isinstance(sized.event, MetricsLogged) and not sized.upload


def _as_one(neighbours: Sequence[Sized]) -> Sized:
    if len(neighbours) == 1:
        return neighbours[0]
    events = [cast(MetricsLogged, sized.event) for sized in neighbours]
    gathered = GatheredPoints(events[0].keys)
    for event in events:
        gathered.add(event, 0)
    event = gathered.event(events[0].run_id, events[0].occurred_us)
    size_bytes = sum(sized.size_bytes for sized in neighbours)
    return Sized(event, size_bytes, sum(sized.point_count for sized in neighbours))


@dataclass(frozen=True, slots=True)
class _Columns:
    key_indices: npt.NDArray[np.uint32]
    steps: npt.NDArray[np.int64]
    times_us: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]

    def at(self, places: slice | npt.NDArray[np.bool_]) -> _Columns:
        """Return the points at these places."""
        return _Columns(self.key_indices[places], self.steps[places], self.times_us[places], self.values[places])

    def block(self, keys: tuple[str, ...]) -> MetricBlock:
        """Return these points with a dictionary that has only their keys, of all that `keys` names."""
        is_used = np.zeros(len(keys), dtype=np.bool_)
        is_used[self.key_indices] = True
        key_indices = self.key_indices
        if not is_used.all():
            used = np.flatnonzero(is_used)
            numbers = np.cumsum(is_used, dtype="<u4") - np.uint32(1)
            keys, key_indices = tuple(keys[number] for number in used.tolist()), numbers[key_indices]
        return MetricBlock(keys, key_indices, self.steps, self.times_us, self.values)


def _in_a_row(parts: Sequence[_Columns]) -> _Columns:
    return _Columns(
        np.concatenate([part.key_indices for part in parts]),
        np.concatenate([part.steps for part in parts]),
        np.concatenate([part.times_us for part in parts]),
        np.concatenate([part.values for part in parts]),
    )
