"""Which projector takes which partitions: hints that keep several from doing the same work.

Nothing rests on them but speed. A claim ends with the process that holds it: on PostgreSQL it is an advisory lock of a
session, on SQLite, which has one writer anyway, one lock on a file for all partitions.
"""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from mltrail_core.ids import PARTITIONS, Partition
from mltrail_core.readmodel.trouble import unavailable

_CLASS = 0x6D6C_7472
_PRESENCE = len(PARTITIONS)
"""Held shared by every projector, so that each can count them; the numbers below it are those of partitions."""


class Claims(Protocol):
    """The claims of one projector; used by one thread."""

    def renew(self) -> frozenset[Partition]:
        """Return what this projector should take now: a fair share of the partitions, once others gave up theirs.

        Raises:
            Unavailable: the database can't be reached; nothing is claimed any more.
        """

    def close(self) -> None:
        """Give up all claims."""


class FileClaims:
    """All partitions, or none while another process has them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def renew(self) -> frozenset[Partition]:
        if self._file is None:
            file = self._path.open("w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                return frozenset()
            self._file = file
        return frozenset(PARTITIONS)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class SessionClaims:
    """As many partitions as there are for each projector that is alive, as locks of a session of its own."""

    def __init__(self, engine: Engine, url: str) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._url = url
        self._connection: Connection | None = None
        self._held: list[Partition] = []

    def renew(self) -> frozenset[Partition]:
        with unavailable(self._url):
            try:
                if self._connection is None:
                    self._connection = self._begin()
                self._share(self._connection)
            except DBAPIError:
                self.close()  # whatever became of the session: its locks are no longer known to be held
                raise
        return frozenset(self._held)

    def close(self) -> None:
        connection, self._connection, self._held = self._connection, None, []
        if connection is not None:
            connection.invalidate()  # closes the session, which the pool would keep, locks and all
            connection.close()

    def _begin(self) -> Connection:
        connection = self._engine.connect()
        connection.execute(_LOCK_PRESENCE, {"class": _CLASS, "number": _PRESENCE})
        return connection

    def _share(self, connection: Connection) -> None:
        """Hold no more than a fair share, and take what is free up to it."""
        held_by_all = list(connection.execute(_HELD, {"class": _CLASS}).scalars())
        projectors = max(1, held_by_all.count(_PRESENCE))
        share = -(-len(PARTITIONS) // projectors)
        for partition in self._held[share:]:
            connection.execute(_UNLOCK, {"class": _CLASS, "number": PARTITIONS.index(partition)})
        del self._held[share:]
        free = [number for number in range(len(PARTITIONS)) if number not in held_by_all]
        wanted = free[: share - len(self._held)]
        if wanted:
            self._held += self._try(connection, wanted)

    def _try(self, connection: Connection, numbers: Sequence[int]) -> list[Partition]:
        tried = connection.execute(_TRY, {"class": _CLASS, "numbers": list(numbers)})
        return [PARTITIONS[number] for number, is_held in tried if is_held]


_LOCK_PRESENCE = text("SELECT pg_advisory_lock_shared(:class, :number)")
_HELD = text(
    "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = :class AND objsubid = 2 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_TRY = text("SELECT number, pg_try_advisory_lock(:class, number) FROM unnest(CAST(:numbers AS int[])) AS number")
_UNLOCK = text("SELECT pg_advisory_unlock(:class, :number)")
