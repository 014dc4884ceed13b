"""What a database in trouble is called: the one place that turns its errors into ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mltrail_core.errors import Unavailable

POOL_SIZE = 16
POOL_TIMEOUT_S = 10.0


@contextlib.contextmanager
def unavailable(url: str) -> Iterator[None]:
    """Raise `Unavailable` for what the database can't do now; errors of ours in SQL pass as they are."""
    try:
        yield
    except DBAPIError as error:
        if is_trouble(error):
            raise Unavailable(f"the read model {url} can't be used: {error.orig}") from error
        raise
    except PoolTimeout as error:
        raise Unavailable(f"the read model {url} is busy: no connection within {POOL_TIMEOUT_S:g} s") from error


def is_trouble(error: Exception) -> bool:
    """Return whether the database, or the way to it, is at fault, so that the same statement may succeed later."""
    if isinstance(error, DBAPIError):
        # PostgreSQL's class 54, "program limit exceeded" (an index row too large), comes as an operational error.
        if str(getattr(error.orig, "sqlstate", None) or "").startswith("54"):
            return False
        return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    return isinstance(error, PoolTimeout | Unavailable)


def unfit(url: str, generation: int) -> Unavailable:
    """Return the error for a generation whose tables are not those of this code."""
    return Unavailable(
        f"generation {generation} of the read model {url} was made by another version of mltrail; a running projector "
        "rebuilds it from the log, or run `mltrail rebuild`",
        retry_after_s=5.0,
    )
