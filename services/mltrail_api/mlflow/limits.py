"""MLflow's limits on what one request may carry; those of single values are the fold's, in `mltrail_core.rules`.

Checked before anything is appended, so that a refused request leaves no trace (`mlflow.utils.validation`).
"""

from __future__ import annotations

from collections.abc import Iterable

from mltrail_api.mlflow.wire import KeyValue
from mltrail_core.errors import Invalid
from mltrail_core.rules import MAX_PARAM_CHARACTERS, MAX_TAG_CHARACTERS, key_fault

MAX_BATCH_METRICS = 1000
MAX_BATCH_PARAMS = 100
MAX_BATCH_TAGS = 100
MAX_BATCH_ENTITIES = 1000
MAX_TIMESTAMP_MS = (2**63 - 1) // 1000
"""Later times have no place in µs of 64 bits."""


def refuse(fault: str | None) -> None:
    """Raise `Invalid` when a rule found a fault."""
    if fault is not None:
        raise Invalid(fault)


def refuse_key(kind: str, key: str) -> None:
    """Raise `Invalid` when a param, metric or tag can't have this key."""
    fault = key_fault(key)
    if fault is not None:
        raise Invalid(f"{kind} {key[:300]!r}: {fault}")


def refuse_timestamp(name: str, time_ms: int) -> None:
    """Raise `Invalid` when a time is before 1970 or past what 64 bits of µs hold."""
    if not 0 <= time_ms <= MAX_TIMESTAMP_MS:
        raise Invalid(f"Invalid value {time_ms} for parameter '{name}' supplied: expected ms since 1970, not negative")


def refuse_batch(metrics: int, params: int, tags: int) -> None:
    """Raise `Invalid` when a batch holds too much."""
    total = metrics + params + tags
    for what, count, limit in (
        ("metrics", metrics, MAX_BATCH_METRICS),
        ("params", params, MAX_BATCH_PARAMS),
        ("tags", tags, MAX_BATCH_TAGS),
        ("metrics, params, and tags", total, MAX_BATCH_ENTITIES),
    ):
        if count > limit:
            raise Invalid(
                f"A batch logging request can contain at most {limit} {what}. Got {count} {what}. "
                f"Please split up {what} across multiple requests and try again."
            )


def refuse_twice(params: Iterable[KeyValue]) -> None:
    """Raise `Invalid` when a batch gives a param two values."""
    seen: set[str] = set()
    for param in params:
        if param.key in seen:
            raise Invalid(f"Duplicate parameter keys have been submitted: {param.key!r}; send one value per key.")
        seen.add(param.key)


def param_text(value: str) -> str:
    """Return a param's value as stock keeps it: cut to its limit (`MLFLOW_TRUNCATE_LONG_VALUES`, on by default)."""
    return value[:MAX_PARAM_CHARACTERS]


def tag_text(value: str) -> str:
    """Return a run tag's value as stock keeps it: cut to its limit."""
    return value[:MAX_TAG_CHARACTERS]
