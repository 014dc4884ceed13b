"""The plain form of the requests that come by the thousand: what they log, without an object for each point.

A request that is not plain, or that would be refused, is none of this module's: `endpoints` reads it by its model, so
what is allowed and what is said about the rest stands in one place only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from mltrail_api.mlflow.limits import (
    MAX_BATCH_ENTITIES,
    MAX_BATCH_METRICS,
    MAX_BATCH_TAGS,
    MAX_TIMESTAMP_MS,
    tag_text,
)
from mltrail_core.clock import now_us
from mltrail_core.events import Event, MetricsLogged, TagSet
from mltrail_core.metric_block import MetricBlock
from mltrail_core.record import SinglePoint
from mltrail_core.rules import key_fault

Fields = Mapping[str, object]
Plain = tuple[str, Sequence[Event] | SinglePoint]
"""A run's id and what is logged to it."""

_NUMBER: Final = frozenset({float, int})
_INT64: Final = range(-(2**63), 2**63)
_MAX_EXACT: Final = 2**53
_POINT_FIELDS: Final = ("key", "value", "timestamp", "step")
_METRIC_FIELDS: Final = frozenset({*_POINT_FIELDS, "run_id", "run_uuid"})
_BATCH_FIELDS: Final = frozenset({"run_id", "run_uuid", "metrics", "params", "tags"})
_TAG_FIELDS: Final = frozenset({"run_id", "run_uuid", "key", "value"})
_MAX_GOOD_KEYS: Final = 10_000
_good_keys: set[str] = set()
"""Keys that were found to be good lately: a training logs the same few for ever."""


def plain_metric(fields: Fields) -> Plain | None:
    """Return what a plain log-metric logs: one point that is linked to nothing."""
    if not fields.keys() <= _METRIC_FIELDS:
        return None
    run_id, key, value = fields.get("run_id"), fields.get("key"), fields.get("value")
    time_ms, step = fields.get("timestamp"), fields.get("step", 0)
    if type(run_id) is not str or type(key) is not str or type(time_ms) is not int or type(step) is not int:
        return None
    if type(value) is int and -_MAX_EXACT <= value <= _MAX_EXACT:
        value = float(value)
    if type(value) is not float or step not in _INT64 or not 0 <= time_ms <= MAX_TIMESTAMP_MS or not _is_good(key):
        return None
    return run_id, SinglePoint(run_id, now_us(), key, value, step, time_ms * 1000)


def plain_batch(fields: Fields) -> Plain | None:
    """Return what a plain log-batch logs: points that are linked to nothing, and tags."""
    run_id, metrics, tags = fields.get("run_id"), fields.get("metrics", []), fields.get("tags", [])
    if not fields.keys() <= _BATCH_FIELDS or fields.get("params", []) != [] or type(run_id) is not str:
        return None  # params wait for the fold's word, and may be refused before they are appended
    if type(metrics) is not list or type(tags) is not list or (not metrics and not tags):
        return None
    if len(metrics) > MAX_BATCH_METRICS or len(tags) > MAX_BATCH_TAGS or len(metrics) + len(tags) > MAX_BATCH_ENTITIES:
        return None
    at_us, events = now_us(), list[Event]()
    if metrics:
        points = _points(run_id, at_us, metrics)
        if points is None:
            return None
        events.append(points)
    for tag in tags:
        if type(tag) is not dict or tag.keys() != {"key", "value"}:
            return None
        key, text = tag["key"], tag["value"]
        if type(key) is not str or type(text) is not str or not _is_good(key):
            return None
        events.append(TagSet(at_us, run_id, key, tag_text(text)))
    return run_id, events


def plain_tag(fields: Fields) -> Plain | None:
    """Return what a plain set-tag logs."""
    run_id, key, text = fields.get("run_id"), fields.get("key"), fields.get("value")
    if not fields.keys() <= _TAG_FIELDS or type(run_id) is not str or type(key) is not str or type(text) is not str:
        return None
    return (run_id, (TagSet(now_us(), run_id, key, tag_text(text)),)) if _is_good(key) else None


READERS: Final[Mapping[str, Callable[[Fields], Plain | None]]] = {
    "/runs/log-metric": plain_metric,
    "/runs/log-batch": plain_batch,
    "/runs/set-tag": plain_tag,
}
"""By the path below the prefix: who reads the plain form of a request, or returns None."""


def _points(run_id: str, at_us: int, metrics: list[object]) -> MetricsLogged | None:
    if set(map(type, metrics)) != {dict} or set(map(len, metrics)) != {len(_POINT_FIELDS)}:  # type: ignore[arg-type]
        return None
    points: list[dict[str, object]] = metrics  # type: ignore[assignment]  # what was just asked
    try:
        keys, values = [point["key"] for point in points], [point["value"] for point in points]
        times_ms, steps = [point["timestamp"] for point in points], [point["step"] for point in points]
    except KeyError:
        return None
    if set(map(type, keys)) != {str} or not set(map(type, values)) <= _NUMBER:
        return None
    if set(map(type, times_ms)) != {int} or set(map(type, steps)) != {int}:
        return None
    numbers: dict[str, int] = {}
    indices = [numbers.setdefault(key, len(numbers)) for key in keys]  # type: ignore[arg-type]
    if not all(map(_is_good, numbers)):
        return None
    try:
        time_column, step_column = np.array(times_ms, dtype="<i8"), np.array(steps, dtype="<i8")
        value_column = np.array(values, dtype="<f8")
    except OverflowError:
        return None
    if int(time_column.min()) < 0 or int(time_column.max()) > MAX_TIMESTAMP_MS:
        return None
    block = MetricBlock(tuple(numbers), np.array(indices, "<u4"), step_column, time_column * 1000, value_column)
    return block.to_event(run_id, at_us)


def _is_good(key: str) -> bool:
    if key in _good_keys:
        return True
    if key_fault(key) is not None:
        return False
    if len(_good_keys) >= _MAX_GOOD_KEYS:
        _good_keys.clear()
    _good_keys.add(key)
    return True
