"""Writes that leave together: on PostgreSQL one round trip for a whole set of statements instead of one for each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError


@contextlib.contextmanager
def pipelined(connection: Connection) -> Iterator[None]:
    """Send the statements of the block without waiting for their answers, which have all come when the block ends.

    For statements whose results nobody looks at: they have none yet inside the block. On SQLite this does nothing.

    Raises:
        DBAPIError: a statement failed; from inside the block when its answer has come by then, otherwise at the end.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    import psycopg

    driver: Any = connection.connection.driver_connection
    try:
        with driver.pipeline():
            yield
    except psycopg.Error as error:  # what SQLAlchemy did not see, so did not wrap
        raise DBAPIError.instance(
            None, None, error, psycopg.Error, connection_invalidated=driver.broken, dialect=connection.dialect
        ) from error
