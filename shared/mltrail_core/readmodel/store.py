"""Where the read model lies: its generations, the pointer to the live one, and transactions on them.

A generation is a whole set of tables: a schema `mltrail_g<N>` on PostgreSQL, a file `g<N>.db` on SQLite. The pointer
is a one-row table or the file `CURRENT`. Every transaction reads it, so that a rebuild can swap generations under load.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

from mltrail_core.errors import Invalid
from mltrail_core.readmodel.claims import Claims


class ReadModel(Protocol):
    """The generations of one read model. Safe to use from many threads."""

    @property
    def url(self) -> str:
        """Where it is, without a password."""

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""

    def live_generation(self) -> int:
        """Return the number of the generation that readers see."""

    def is_live(self, connection: Connection, generation: int) -> bool:
        """Return whether the pointer, as the transaction of `connection` sees it, names `generation`."""

    def fits(self, generation: int) -> bool:
        """Return whether the generation has the tables of this code; another version of mltrail may have made it."""

    def reading(self) -> contextlib.AbstractContextManager[Connection]:
        """Give a connection that reads the live generation from one snapshot.

        Raises:
            Unavailable: the database can't be reached, or the live generation does not fit this code.
        """

    def writing(self, generation: int) -> contextlib.AbstractContextManager[Connection]:
        """Give a connection in a write transaction on `generation`; committed at the end, rolled back on an error."""

    def point_at(self, connection: Connection, generation: int) -> None:
        """Make `generation` the live one, for transactions that begin after that of `connection` has committed."""

    def generations(self) -> list[int]:
        """Return the numbers of all generations there are, the live one among them."""

    def create_generation(self, generation: int) -> None:
        """Create the empty tables of `generation`; what an unfinished rebuild left there is dropped first."""

    def drop_generation(self, generation: int) -> None:
        """Remove `generation` for good."""

    def claims(self) -> Claims:
        """Return the claims of one more projector; it holds none yet."""

    def close(self) -> None:
        """Close all connections."""


def open_read_model(url: str) -> ReadModel:
    """Open the read model at `url`, and create its first, empty generation when there is none.

    Args:
        url: `postgresql://user:password@host/database`, `sqlite:///folder`, or the path of a folder.

    Raises:
        Invalid: the URL names another database.
        Unavailable: the database can't be reached.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return _in_folder(Path(url))
    if scheme == "sqlite":
        return _in_folder(Path(rest[1:]))
    if scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        from mltrail_core.readmodel.postgres_store import PostgresReadModel

        return PostgresReadModel("postgresql+psycopg://" + rest)
    raise Invalid(f"store URL {url!r}: expected postgresql://…, sqlite:///folder or the path of a folder")


def _in_folder(folder: Path) -> ReadModel:
    from mltrail_core.readmodel.sqlite_store import SqliteReadModel

    return SqliteReadModel(folder)
