"""Times and lengths of time in filters, all as milliseconds, as MLflow counts them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION = re.compile(r"\s*(\d{1,12}(?:\.\d{1,9})?)\s*(ms|s|min|h|d)\s*")
_UNITS_MS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def time_ms(text: str) -> int | float | None:
    """Return the moment that an ISO 8601 text names, in ms; UTC unless it says otherwise, a date is its first moment.

    None: it names none.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return _whole((aware - _EPOCH) / timedelta(milliseconds=1))


def duration_ms(text: str) -> int | float | None:
    """Return how long `90 s`, `1.5h`, `10 min`, `2 d` or `500ms` is, in ms; None when the text says no such thing."""
    found = _DURATION.fullmatch(text)
    return None if found is None else _whole(float(found[1]) * _UNITS_MS[found[2]])


def _whole(number: float) -> int | float:
    return int(number) if number.is_integer() else number
