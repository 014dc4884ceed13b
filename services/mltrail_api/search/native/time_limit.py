"""A bound on how long the database works on one search, so that no filter can keep a server busy."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from mltrail_core.errors import Invalid

SEARCH_LIMIT_S = 10.0
_STEPS_BETWEEN_LOOKS = 20_000
"""Of SQLite's virtual machine: about a millisecond."""
_QUERY_CANCELED = "57014"


@contextlib.contextmanager
def limited(connection: Connection, limit_s: float = SEARCH_LIMIT_S) -> Iterator[None]:
    """Cut short what the connection executes in the block for longer than `limit_s`.

    Raises:
        Invalid: it took longer. The same search would take as long again, so the caller has to change it.
    """
    try:
        if connection.dialect.name == "sqlite":
            with _watched(connection, time.monotonic() + limit_s):
                yield
        else:
            connection.execute(text(f"SET LOCAL statement_timeout = {int(limit_s * 1000)}"))
            yield
    except DBAPIError as error:
        if not _is_cut_short(error.orig):
            raise
        raise Invalid(
            f"the search took longer than {limit_s:g} s and was cut short; search fewer experiments, or filter by "
            "params, tags, metrics or times before regular expressions"
        ) from error


@contextlib.contextmanager
def _watched(connection: Connection, deadline: float) -> Iterator[None]:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    raw.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        raw.set_progress_handler(None, 0)


def _is_cut_short(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.OperationalError):
        return error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT
    return getattr(error, "sqlstate", None) == _QUERY_CANCELED
