"""A bound on how long the database works on one search, so that no filter can keep a server busy."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from mltrail_core.errors import Invalid

SEARCH_LIMIT_S = 10.0
"""Of the processor's time on SQLite, which works in our thread; of the clock's on PostgreSQL, which knows no other."""
_WAITED = 6.0
"""So many times the limit may pass on the clock while SQLite waits for the processor or the disk."""
_STEPS_BETWEEN_LOOKS = 2_000
"""Of SQLite's virtual machine: some ten microseconds."""
_QUERY_CANCELED = "57014"


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """How long the thread that made it may work from now on."""

    limit_s: float
    worked_s: float = field(default_factory=time.thread_time)
    began_s: float = field(default_factory=time.monotonic)

    def is_over(self) -> bool:
        """Return whether the time is up."""
        if time.thread_time() - self.worked_s > self.limit_s:
            return True
        return time.monotonic() - self.began_s > self.limit_s * _WAITED

    def check(self) -> None:
        """Raise `TimeoutError` when the time is up."""
        if self.is_over():
            raise TimeoutError


@contextlib.contextmanager
def limited(connection: Connection, limit_s: float = SEARCH_LIMIT_S) -> Iterator[TimeLimit]:
    """Cut short what the connection executes in the block for longer than `limit_s`.

    Raises:
        Invalid: it took longer. The same search would take as long again, so the caller has to change it.
    """
    limit = TimeLimit(limit_s)
    try:
        if connection.dialect.name == "sqlite":
            with _watched(connection, limit):
                yield limit
        else:
            connection.execute(text(f"SET LOCAL statement_timeout = {int(limit_s * 1000)}"))
            yield limit
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _QUERY_CANCELED and not limit.is_over():
            raise
        raise Invalid(
            f"the search took longer than {limit_s:g} s and was cut short; search fewer experiments, or filter by "
            "params, tags, metrics or times before regular expressions"
        ) from error


@contextlib.contextmanager
def _watched(connection: Connection, limit: TimeLimit) -> Iterator[None]:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    raw.set_progress_handler(limit.is_over, _STEPS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        raw.set_progress_handler(None, 0)
