"""The rows of a spool: frozen records in the order of their freezing, and artifacts that are to be uploaded."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mltrail._stream import Outgoing, Upload, Writer
from mltrail_core.errors import Conflict
from mltrail_core.forking import close_at_fork, inside_sqlite
from mltrail_core.ids import Partition, RunId
from mltrail_core.log import NewRecord
from mltrail_core.record import FrozenRecord

FORMAT_VERSION = 1
_PAGE_BYTES = 8192
_CHECKPOINT_PAGES = 1024
"""The WAL is copied into the file every 8 MB, and is no larger afterwards."""
_BUSY_TIMEOUT_S = 10.0

_SCHEMA = """
CREATE TABLE about (format_version INT NOT NULL, about TEXT NOT NULL);
CREATE TABLE records (
    id INTEGER PRIMARY KEY, run_id TEXT NOT NULL, partition TEXT NOT NULL, event_count INT NOT NULL,
    point_count INT NOT NULL, frozen BLOB NOT NULL
);
CREATE TABLE uploads (
    name TEXT PRIMARY KEY, run_id TEXT NOT NULL, path TEXT NOT NULL, size_bytes INT NOT NULL
) WITHOUT ROWID;
CREATE TABLE refused (id INTEGER PRIMARY KEY, run_id TEXT NOT NULL, reason TEXT NOT NULL, frozen BLOB NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class About:
    """Whose spool it is, and where it is to be sent. Neither password nor token is in it."""

    destination: str
    writer: Writer
    created_us: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What one transaction does."""

    records: Sequence[Outgoing] = ()
    acknowledged: int = 0
    """The log has all records up to this id, or has refused them."""
    refused: Sequence[tuple[int, str]] = ()
    """Id and reason of records up to `acknowledged` that no log will take; they are set aside."""
    uploads: Sequence[Upload] = ()
    stored: Sequence[str] = ()
    """Names of uploads that are done with."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a spool holds."""

    record_count: int
    event_count: int
    point_count: int
    upload_count: int
    upload_bytes: int
    refused_count: int
    run_ids: tuple[str, ...] = field(default=())

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to send or to look at."""
        return not (self.record_count or self.upload_count or self.refused_count)


class SpoolFile:
    """One connection to a spool's rows; threads take turns. No connection is open while the process forks."""

    def __init__(self, path: Path, *, is_synchronous: bool = False) -> None:
        """Name the file; nothing is opened before it is needed.

        Args:
            path: the file.
            is_synchronous: a commit returns only after an fsync. Without it what is written survives the death of the
                process at once, and a power cut after a while.
        """
        self._path = path
        self._is_synchronous = is_synchronous
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._last_id = 0
        close_at_fork(self._disconnect, self._renew)

    def begin(self, about: About) -> None:
        """Make the tables of a new spool."""
        with self._using() as connection:
            connection.executescript(_SCHEMA)
            connection.execute("INSERT INTO about VALUES (?, ?)", (FORMAT_VERSION, json.dumps(asdict(about))))

    def about(self) -> About:
        """Return whose spool it is.

        Raises:
            Conflict: another version of mltrail wrote it, in a format that this one does not know.
        """
        with self._using() as connection:
            version, text = connection.execute("SELECT format_version, about FROM about").fetchone()
        if version != FORMAT_VERSION:
            raise Conflict(f"{self._path} has the spool format {version}; this mltrail reads {FORMAT_VERSION}")
        about = json.loads(text)
        return About(about["destination"], Writer(**about["writer"]), about["created_us"])

    def write(self, changes: Changes) -> int:
        """Do all changes in one transaction; return the id of the first of its records, the others follow it."""
        with self._using() as connection:
            first_id = self._last_id + 1
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._change(connection, changes, first_id)
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    if connection.in_transaction:
                        connection.rollback()
                # Of a COMMIT that failed nobody knows whether it is on the disk: the next connection looks.
                self._disconnect()
                raise
            self._last_id += len(changes.records)
            return first_id

    def read(self, first_id: int, last_id: int, max_bytes: int, max_records: int = -1) -> list[tuple[int, Outgoing]]:
        """Return the oldest records of a range of ids, at least one when there is one, about `max_bytes` in all.

        `max_records` of -1 is no limit.
        """
        found = []
        with self._using() as connection:
            rows = connection.execute(
                "SELECT id, partition, frozen, run_id, event_count, point_count FROM records "
                "WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
                (first_id, last_id, max_records),
            )
            for number, partition, frozen, run_id, event_count, point_count in rows:
                record = NewRecord(Partition(partition), FrozenRecord(frozen))
                found.append((number, Outgoing(record, RunId(run_id), event_count, point_count)))
                max_bytes -= len(frozen)
                if max_bytes <= 0:
                    break
            rows.close()
        return found

    def uploads(self) -> list[Upload]:
        """Return the artifacts that are to be uploaded."""
        with self._using() as connection:
            return [Upload(*row) for row in connection.execute("SELECT name, run_id, path, size_bytes FROM uploads")]

    def refused(self) -> list[tuple[str, str]]:
        """Return run and reason of the records that no log took."""
        with self._using() as connection:
            return connection.execute("SELECT run_id, reason FROM refused ORDER BY id").fetchall()

    def forget_refused(self) -> None:
        """Delete the records that no log took."""
        with self._using() as connection:
            connection.execute("DELETE FROM refused")

    def contents(self) -> Contents:
        """Return what there is."""
        with self._using() as connection:
            records = connection.execute(
                "SELECT count(*), coalesce(sum(event_count), 0), coalesce(sum(point_count), 0) FROM records"
            ).fetchone()
            uploads = connection.execute("SELECT count(*), coalesce(sum(size_bytes), 0) FROM uploads").fetchone()
            [refused] = connection.execute("SELECT count(*) FROM refused").fetchone()
            runs = connection.execute("SELECT DISTINCT run_id FROM records UNION SELECT run_id FROM uploads").fetchall()
        return Contents(
            record_count=records[0],
            event_count=records[1],
            point_count=records[2],
            upload_count=uploads[0],
            upload_bytes=uploads[1],
            refused_count=refused,
            run_ids=tuple(run_id for (run_id,) in runs),
        )

    def size_bytes(self) -> int:
        """Return about how much of the disk the rows need."""
        with self._using() as connection:
            [pages] = connection.execute("PRAGMA page_count").fetchone()
            [free] = connection.execute("PRAGMA freelist_count").fetchone()
        return int(pages - free) * _PAGE_BYTES

    def shrink(self) -> None:
        """Give back the room of rows that are gone; quick when few are left."""
        with self._using() as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the connection; it is opened again when needed."""
        with inside_sqlite(), self._lock:
            self._disconnect()

    def _change(self, connection: sqlite3.Connection, changes: Changes, first_id: int) -> None:
        if changes.refused:
            connection.executemany(
                "INSERT INTO refused (run_id, reason, frozen) SELECT run_id, ?, frozen FROM records WHERE id = ?",
                [(reason, number) for number, reason in changes.refused],
            )
        if changes.acknowledged:
            connection.execute("DELETE FROM records WHERE id <= ?", (changes.acknowledged,))
        if changes.records:
            connection.executemany(
                "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (
                        first_id + n,
                        one.run_id,
                        one.record.partition,
                        one.event_count,
                        one.point_count,
                        one.record.frozen,
                    )
                    for n, one in enumerate(changes.records)
                ],
            )
        if changes.uploads:
            connection.executemany(
                "INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?)",
                [(one.name, one.run_id, one.path, one.size_bytes) for one in changes.uploads],
            )
        if changes.stored:
            connection.executemany("DELETE FROM uploads WHERE name = ?", [(name,) for name in changes.stored])

    @contextlib.contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with inside_sqlite(), self._lock:
            if self._connection is None:
                self._connection = self._connect()
            yield self._connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=_BUSY_TIMEOUT_S)
        try:
            connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode=WAL")
            # Debian's SQLite overwrites with zeros what is deleted unless told not to: each record was written twice.
            connection.execute("PRAGMA secure_delete=OFF")
            connection.execute(f"PRAGMA synchronous={'FULL' if self._is_synchronous else 'NORMAL'}")
            connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit={_CHECKPOINT_PAGES * _PAGE_BYTES}")
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'records'").fetchone():
                [last_id] = connection.execute("SELECT coalesce(max(id), 0) FROM records").fetchone()
                self._last_id = max(self._last_id, last_id)
        except BaseException:
            connection.close()
            raise
        return connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _renew(self) -> None:
        self._lock = threading.Lock()
