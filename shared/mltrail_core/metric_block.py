"""Metric points in columns: how they travel in `metrics_logged` and rest in `metric_blocks`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from struct import Struct

import msgpack
import numpy as np
import numpy.typing as npt

from mltrail_core.errors import Invalid
from mltrail_core.events import MetricsLogged
from mltrail_core.strides import in_strides, out_of_strides

_KEY_INDEX, _INT, _FLOAT = np.dtype("<u4"), np.dtype("<i8"), np.dtype("<f8")
_PACK_INT, _PACK_FLOAT = Struct("<q").pack, Struct("<d").pack
_NARROW = {width: np.dtype(f"<u{width}") for width in (1, 2, 4)}
_NARROWED_POINTS = 64
"""Columns of fewer points rest as they came: looking for their least and greatest costs more than it saves."""


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One value of one key. `time_us` is µs UTC by the producer's clock; NaN and ±Infinity are values."""

    key: str
    value: float
    step: int
    time_us: int


@dataclass(frozen=True, slots=True)
class MetricBlock:
    """n points of one run: a dictionary of distinct keys and four columns of length n, in the order they were logged.

    `key_indices` uint32 into `keys`, `steps` int64, `times_us` int64, `values` float64.
    """

    keys: tuple[str, ...]
    key_indices: npt.NDArray[np.uint32]
    steps: npt.NDArray[np.int64]
    times_us: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    def points(self) -> list[MetricPoint]:
        """Return the points one by one, in order."""
        columns = (self.key_indices.tolist(), self.values.tolist(), self.steps.tolist(), self.times_us.tolist())
        return [MetricPoint(self.keys[k], value, step, us) for k, value, step, us in zip(*columns, strict=True)]

    def of_key(self, key: str) -> MetricBlock:
        """Return the block's points of `key`, in order; an empty block when it has none."""
        chosen = self.key_indices == (self.keys.index(key) if key in self.keys else len(self.keys))
        zeros = np.zeros(int(chosen.sum()), dtype=_KEY_INDEX)
        return MetricBlock((key,), zeros, self.steps[chosen], self.times_us[chosen], self.values[chosen])

    def to_bytes(self) -> bytes:
        """Return the block as `metric_blocks.block` holds it: msgpack [keys, four little-endian columns].

        Whole numbers that go on by equal strides rest as [first, strides, how often each], else those that lie close
        together as [least, width, distances from it in so many bytes]: key index, step and time of a training take next
        to nothing or mostly 7 bytes then, instead of 20. Nothing else that writes a block to a database costs as
        much as its bytes.
        """
        if len(self) < _NARROWED_POINTS:
            packed: bytes = msgpack.packb([self.keys, *self._columns()])
            return packed
        narrowed = (
            _narrowed(self.key_indices, _KEY_INDEX),
            _narrowed(self.steps, _INT),
            _narrowed(self.times_us, _INT),
        )
        packed = msgpack.packb([self.keys, *narrowed, self.values.astype(_FLOAT, copy=False).data])
        return packed

    def to_event(
        self,
        run_id: str,
        occurred_us: int,
        *,
        model_id: str | None = None,
        dataset_name: str | None = None,
        dataset_digest: str | None = None,
    ) -> MetricsLogged:
        """Return the event that logs these points to a run."""
        columns = self._columns()
        return MetricsLogged(occurred_us, run_id, self.keys, *columns, model_id, dataset_name, dataset_digest)

    def _columns(self) -> tuple[bytes, bytes, bytes, bytes]:
        return (
            self.key_indices.astype(_KEY_INDEX, copy=False).tobytes(),
            self.steps.astype(_INT, copy=False).tobytes(),
            self.times_us.astype(_INT, copy=False).tobytes(),
            self.values.astype(_FLOAT, copy=False).tobytes(),
        )


def block_of_points(points: Sequence[MetricPoint]) -> MetricBlock:
    """Return the points in columns, keys in order of first appearance."""
    keys: dict[str, int] = {}
    indices = [keys.setdefault(point.key, len(keys)) for point in points]
    return MetricBlock(
        tuple(keys),
        np.array(indices, dtype=_KEY_INDEX),
        np.array([point.step for point in points], dtype=_INT),
        np.array([point.time_us for point in points], dtype=_INT),
        np.array([point.value for point in points], dtype=_FLOAT),
    )


def event_of_points(
    run_id: str,
    occurred_us: int,
    points: Sequence[MetricPoint],
    *,
    model_id: str | None = None,
    dataset_name: str | None = None,
    dataset_digest: str | None = None,
) -> MetricsLogged:
    """Return the event that logs these points to a run."""
    if len(points) != 1:
        block = block_of_points(points)
        return block.to_event(
            run_id, occurred_us, model_id=model_id, dataset_name=dataset_name, dataset_digest=dataset_digest
        )
    # One point is what `log-metric` brings, thousands of times a second: arrays of one number cost ten times as much.
    (point,) = points
    columns = (b"\0\0\0\0", _PACK_INT(point.step), _PACK_INT(point.time_us), _PACK_FLOAT(point.value))
    return MetricsLogged(occurred_us, run_id, (point.key,), *columns, model_id, dataset_name, dataset_digest)


def block_of_event(event: MetricsLogged) -> MetricBlock:
    """Return the event's points.

    Raises:
        Invalid: the columns differ in length, or a key index points past the dictionary.
    """
    return _block(event.keys, event.key_indices, event.steps, event.times_us, event.values)


def check_columns(event: MetricsLogged) -> None:
    """Do nothing when `block_of_event` would return a block.

    Raises:
        Invalid: as from `block_of_event`.
    """
    key_indices = event.key_indices
    count = _count(key_indices, event.steps, event.times_us, event.values)
    if len(event.keys) == 1 and key_indices.count(0) == len(key_indices):
        return  # most events, and a hundred times cheaper than arrays where one holds one point
    if count:
        _check_key_indices(np.frombuffer(key_indices, dtype=_KEY_INDEX), event.keys)


def block_of_bytes(packed: bytes) -> MetricBlock:
    """Return the block that `to_bytes` wrote."""
    keys, columns = columns_of_bytes(packed)
    return block_of_columns(keys, columns)


def block_of_columns(keys: Sequence[str], columns: Sequence[bytes]) -> MetricBlock:
    """Return the block that has these keys and the columns that `columns_of_bytes` gives."""
    return _block(tuple(keys), *columns)


def columns_of_bytes(packed: bytes) -> tuple[list[str], list[bytes]]:
    """Return the keys of the block that `to_bytes` wrote, and its four columns in full width."""
    keys, key_indices, steps, times_us, values = msgpack.unpackb(packed)
    if type(key_indices) is not bytes or type(steps) is not bytes or type(times_us) is not bytes:
        count = len(values) // _FLOAT.itemsize
        key_indices = _widened(key_indices, count, _KEY_INDEX)
        steps, times_us = _widened(steps, count, _INT), _widened(times_us, count, _INT)
    return keys, [key_indices, steps, times_us, values]


def concatenate(blocks: Iterable[MetricBlock]) -> MetricBlock:
    """Return all points of the blocks, in order, under one dictionary of keys."""
    blocks = list(blocks)
    if len(blocks) == 1:
        return blocks[0]
    keys: dict[str, int] = {}
    indices = []
    first_keys = blocks[0].keys if blocks else ()
    for block in blocks:
        if block.keys == first_keys:  # as when each holds one step of a training; they are numbered alike
            keys = keys or {key: number for number, key in enumerate(first_keys)}
            indices.append(block.key_indices)
            continue
        renumbered = np.array([keys.setdefault(key, len(keys)) for key in block.keys], dtype=_KEY_INDEX)
        indices.append(renumbered[block.key_indices] if len(block) else block.key_indices)
    return MetricBlock(
        tuple(keys),
        np.concatenate([*indices, np.empty(0, _KEY_INDEX)]),
        np.concatenate([*(block.steps for block in blocks), np.empty(0, _INT)]),
        np.concatenate([*(block.times_us for block in blocks), np.empty(0, _INT)]),
        np.concatenate([*(block.values for block in blocks), np.empty(0, _FLOAT)]),
    )


def _block(keys: tuple[str, ...], key_indices: bytes, steps: bytes, times_us: bytes, values: bytes) -> MetricBlock:
    count = _count(key_indices, steps, times_us, values)
    block = MetricBlock(
        keys,
        np.frombuffer(key_indices, dtype=_KEY_INDEX),
        np.frombuffer(steps, dtype=_INT),
        np.frombuffer(times_us, dtype=_INT),
        np.frombuffer(values, dtype=_FLOAT),
    )
    if count:
        _check_key_indices(block.key_indices, keys)
    return block


def _narrowed(column: npt.NDArray[np.int64] | npt.NDArray[np.uint32], full: np.dtype[np.generic]) -> object:
    """Return what msgpack takes: the bytes of the column, or in strides or [least, width, distances] what is fewer."""
    strides = in_strides(column)
    if strides is not None:
        return strides
    least, greatest = int(column.min()), int(column.max())
    span = greatest - least
    if span == 0:
        return [least, 0, b""]
    for width, narrow in _NARROW.items():
        if width < full.itemsize and span < 1 << 8 * width:
            distances = np.empty(len(column), narrow)
            # Within NumPy's buffers: whole arrays between cost more in fresh pages of memory than in arithmetic.
            np.subtract(column, least, out=distances, dtype=_INT, casting="unsafe")
            return [least, width, distances.data]
    return column.astype(full, copy=False).tobytes()


def _widened(
    column: bytes | tuple[int, int, bytes] | tuple[int, bytes, bytes], count: int, full: np.dtype[np.generic]
) -> bytes:
    if isinstance(column, bytes):
        return column
    least, width, distances = column
    if isinstance(width, bytes):
        return out_of_strides(least, width, distances, full)
    if width == 0:
        return np.full(count, least, dtype=full).tobytes()
    widened = np.frombuffer(distances, dtype=_NARROW[width]).astype(full)
    widened += full.type(least)
    return widened.tobytes()


def _count(key_indices: bytes, steps: bytes, times_us: bytes, values: bytes) -> int:
    count, rest = divmod(len(values), 8)
    if rest or len(key_indices) != count * 4 or len(steps) != count * 8 or len(times_us) != count * 8:
        raise Invalid(
            f"a metric block's columns should have equal lengths; found {len(key_indices)}, {len(steps)}, "
            f"{len(times_us)} and {len(values)} bytes of uint32, int64, int64 and float64"
        )
    return count


def _check_key_indices(key_indices: npt.NDArray[np.uint32], keys: Sequence[str]) -> None:
    greatest = int(key_indices.max())
    if greatest >= len(keys):
        raise Invalid(f"a metric block names key {greatest} of a dictionary of {len(keys)}")
