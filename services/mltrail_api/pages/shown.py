"""How times, numbers and sizes are written for people, on pages and in the terminal."""

from __future__ import annotations

import math
from datetime import UTC, datetime

_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


def shown_time(us: int | None) -> str:
    """Return a moment (µs UTC) as `2026-05-04 13:02:11` UTC; an empty text for None or beyond the calendar."""
    if us is None:
        return ""
    try:
        return datetime.fromtimestamp(us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):  # producers' clocks may say anything
        return f"{us} µs"


def shown_duration(start_us: int, end_us: int | None) -> str:
    """Return how long something took, such as `1.4 s` or `2 h 03 min`; an empty text while it goes on."""
    if end_us is None:
        return ""
    seconds = max(0.0, (end_us - start_us) / 1e6)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24:02d} h"


def shown_number(value: float | None) -> str:
    """Return a metric's value with six significant digits; None is NaN, as in the read model."""
    if value is None or math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.6g}"


def shown_size(size_bytes: int) -> str:
    """Return a size such as `512 B` or `1.4 MB` (powers of 1000)."""
    size = float(size_bytes)
    for unit in _UNITS:
        if size < 999.5 or unit == _UNITS[-1]:
            return f"{int(size)} B" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    raise AssertionError("the last unit takes everything")
