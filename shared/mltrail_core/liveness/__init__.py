"""Signs of life of runs, beside the log and never in it: short-lived marks from which the reaper tells who is lost.

port      the port `Liveness` and its values
folder    beside a log in a folder: a file for each mark
redis     beside a log in Redis: a sorted set
"""

from __future__ import annotations

from pathlib import Path

from mltrail_core.errors import Invalid
from mltrail_core.liveness.port import API_DUTY, API_PATIENCE_S, KEEP_S, REAPER_DUTY, Attendance, Liveness

__all__ = ["API_DUTY", "API_PATIENCE_S", "KEEP_S", "REAPER_DUTY", "Attendance", "Liveness", "open_liveness"]


def open_liveness(log_url: str) -> Liveness:
    """Return the marks that belong to the log at `log_url`; nothing is reached or made before the first use.

    Args:
        log_url: what `open_log` takes.

    Raises:
        Invalid: the URL names no adapter.
    """
    scheme, separator, rest = log_url.partition("://")
    if separator and scheme in ("redis", "rediss", "valkey", "valkeys"):
        from mltrail_core.liveness.redis import RedisLiveness  # the SDK carries redis-py only when asked to

        return RedisLiveness(log_url.replace("valkey", "redis", 1))
    if separator and scheme != "sqlite":
        raise Invalid(f"log URL {log_url!r}: expected redis://host:port/db, sqlite:///folder or the path of a folder")
    from mltrail_core.liveness.folder import FolderLiveness

    return FolderLiveness(Path(rest[1:] if separator else log_url) / "liveness")
