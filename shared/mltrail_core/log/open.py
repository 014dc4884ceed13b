"""Which adapter a log URL names."""

from __future__ import annotations

from pathlib import Path

from mltrail_core.errors import Invalid
from mltrail_core.log.port import EventLog, LogIdentity


def open_log(url: str, *, identity: LogIdentity | None = None) -> EventLog:
    """Open the log at `url`, and begin it when there is none.

    Args:
        url: `redis://host:port/db`, `rediss://…`, `sqlite:///path/to/folder`, or the path of a folder.
        identity: what a new log is called; given only when a log is copied. By default a fresh one.

    Raises:
        Invalid: the URL names no adapter, or the folder is on a network file system.
        Conflict: the log there is of another format or, with `identity` given, another log.
        Unavailable: the server can't be reached.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return _open_folder(Path(url), identity)
    if scheme == "sqlite":
        return _open_folder(Path(rest[1:]), identity)
    if scheme in ("redis", "rediss", "valkey", "valkeys"):
        from mltrail_core.log.redis import RedisLog  # the SDK carries redis-py only when asked to

        return RedisLog.open(url.replace("valkey", "redis", 1), identity=identity)
    raise Invalid(f"log URL {url!r}: expected redis://host:port/db, sqlite:///folder or the path of a folder")


def _open_folder(folder: Path, identity: LogIdentity | None) -> EventLog:
    from mltrail_core.log.sqlite import SqliteLog

    return SqliteLog.open(folder, identity=identity)
