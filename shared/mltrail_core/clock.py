"""The clock of producers and servers."""

from __future__ import annotations

import time


def now_us() -> int:
    """Return the time now in µs UTC since 1970."""
    return time.time_ns() // 1000
