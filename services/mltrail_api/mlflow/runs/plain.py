"""The plain form of the requests that come by the thousand: what they log, without an object for each point.

A request that is not plain, or that would be refused, is none of this module's: `endpoints` reads it by its model, so
what is allowed and what is said about the rest stands in one place only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np

from mltrail_api.mlflow.limits import (
    MAX_BATCH_ENTITIES,
    MAX_BATCH_METRICS,
    MAX_BATCH_PARAMS,
    MAX_BATCH_TAGS,
    MAX_TIMESTAMP_MS,
    param_text,
    tag_text,
)
from mltrail_api.mlflow.runs.beginning import has_two_names
from mltrail_core.clock import now_us
from mltrail_core.events import Event, MetricsLogged, ParamLogged, TagSet
from mltrail_core.metric_block import MetricBlock
from mltrail_core.record import SinglePoint
from mltrail_core.rules import key_fault

Fields = Mapping[str, object]


class Plain(NamedTuple):
    """What is logged to a run; `params` are those among it, which the fold may refuse."""

    run_id: str
    events: Sequence[Event] | SinglePoint
    params: Mapping[str, str] = MappingProxyType({})


class PlainRun(NamedTuple):
    """A run that is to begin, as `beginning_in` is told."""

    experiment_id: str
    run_name: str
    user_id: str
    start_ms: int | None
    tags: Mapping[str, str]


_NUMBER: Final = frozenset({float, int})
_INT64: Final = range(-(2**63), 2**63)
_MAX_EXACT: Final = 2**53
_POINT_FIELDS: Final = ("key", "value", "timestamp", "step")
_METRIC_FIELDS: Final = frozenset({*_POINT_FIELDS, "run_id", "run_uuid"})
_BATCH_FIELDS: Final = frozenset({"run_id", "run_uuid", "metrics", "params", "tags"})
_RUN_FIELDS: Final = frozenset({"experiment_id", "run_name", "user_id", "start_time", "tags"})
_PAIR_FIELDS: Final = frozenset({"key", "value"})
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
    return Plain(run_id, SinglePoint(run_id, now_us(), key, value, step, time_ms * 1000))


def plain_batch(fields: Fields) -> Plain | None:
    """Return what a plain log-batch logs: params, points that are linked to nothing, and tags."""
    run_id, metrics = fields.get("run_id"), fields.get("metrics", [])
    params, tags = _texts(fields.get("params", []), MAX_BATCH_PARAMS), _texts(fields.get("tags", []), MAX_BATCH_TAGS)
    if not fields.keys() <= _BATCH_FIELDS or type(run_id) is not str or type(metrics) is not list:
        return None
    if params is None or tags is None or not (metrics or params or tags):
        return None
    if len(metrics) > MAX_BATCH_METRICS or len(metrics) + len(params) + len(tags) > MAX_BATCH_ENTITIES:
        return None
    values = {key: param_text(text) for key, text in params}
    if len(values) < len(params):
        return None  # one is given twice
    at_us, events = now_us(), list[Event]()
    events += [ParamLogged(at_us, run_id, key, value) for key, value in values.items()]
    if metrics:
        points = _points(run_id, at_us, metrics)
        if points is None:
            return None
        events.append(points)
    events += [TagSet(at_us, run_id, key, tag_text(text)) for key, text in tags]
    return Plain(run_id, events, values)


def plain_tag(fields: Fields) -> Plain | None:
    """Return what a plain set-tag logs."""
    run_id, key, text = fields.get("run_id"), fields.get("key"), fields.get("value")
    if not fields.keys() <= _TAG_FIELDS or type(run_id) is not str or type(key) is not str or type(text) is not str:
        return None
    return Plain(run_id, (TagSet(now_us(), run_id, key, tag_text(text)),)) if _is_good(key) else None


def plain_run(fields: Fields) -> PlainRun | None:
    """Return what a plain create-run begins."""
    experiment_id, run_name, user_id = (
        fields.get("experiment_id"),
        fields.get("run_name", ""),
        fields.get("user_id", ""),
    )
    start_ms, tags = fields.get("start_time"), _texts(fields.get("tags", []), None)
    if not fields.keys() <= _RUN_FIELDS or tags is None:
        return None
    if type(experiment_id) is not str or type(run_name) is not str or type(user_id) is not str:
        return None
    if start_ms is not None and (type(start_ms) is not int or not 0 <= start_ms <= MAX_TIMESTAMP_MS):
        return None
    values = {key: tag_text(text) for key, text in tags}
    if has_two_names(run_name, values):
        return None
    return PlainRun(experiment_id, run_name, user_id, start_ms, values)


READERS: Final[Mapping[str, Callable[[Fields], Plain | None]]] = {
    "/runs/log-metric": plain_metric,
    "/runs/log-batch": plain_batch,
    "/runs/set-tag": plain_tag,
}
"""By the path below the prefix: who reads the plain form of a request, or returns None."""


def _texts(pairs: object, limit: int | None) -> list[tuple[str, str]] | None:
    """Return key and value of params or tags, in the order they came, if they are plain and not too many."""
    if type(pairs) is not list or (limit is not None and len(pairs) > limit):
        return None
    found = []
    for pair in pairs:
        if type(pair) is not dict or pair.keys() != _PAIR_FIELDS:
            return None
        key, text = pair["key"], pair["value"]
        if type(key) is not str or type(text) is not str or not _is_good(key):
            return None
        found.append((key, text))
    return found


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
