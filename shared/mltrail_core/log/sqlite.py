"""The event log in one SQLite file: for a folder with no server, written by many processes at once.

An append takes a flock before SQLite's own lock (without it, 16 busy writers starved one to a commit in 5 s), gives
each record the next index of its partition and commits with `synchronous=FULL`, so what returns survives a power cut.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from mltrail_core.errors import LogFull, OutcomeUnknown, Unavailable
from mltrail_core.forking import close_at_fork, inside_sqlite
from mltrail_core.ids import PARTITIONS, Partition
from mltrail_core.log.disk_room import DiskRoom
from mltrail_core.log.genesis import fresh_identity, gap_conflict, refuse_other_identity
from mltrail_core.log.network import refuse_network_file_system
from mltrail_core.log.port import Appended, Durability, LogEntry, LogIdentity, NewRecord, Positions
from mltrail_core.log.sqlite_flock import WritersQueue
from mltrail_core.log.sqlite_line import Pace, SqliteLine
from mltrail_core.log.sqlite_places import (
    HEADS,
    INDEX_BITS,
    Heads,
    head_of,
    index_at,
    insertion,
    place_of,
    places_after,
    row_values,
)
from mltrail_core.record import FrozenRecord

_BUSY_TIMEOUT_S = 30.0
_POLL_S = 0.004
"""How often a waiting reader looks for records that another process appended; a look costs ~15 µs."""
_ROWS_AT_ONCE = 32
"""An append inserts so many records by one statement. Each execution gives up the interpreter's lock and waits to get
it back, which the thread that answers requests may keep for 5 ms."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS identity (log_id TEXT, format_version INT, partition_count INT, created_us INT);
CREATE TABLE IF NOT EXISTS published (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (place INTEGER PRIMARY KEY, appended_us INT NOT NULL, frozen BLOB NOT NULL);
"""
_BEFORE_WRITING = frozenset({
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOTADB,
})  # fmt: skip
"""What a statement fails with when it could not even begin."""


class SqliteLog:
    """An `EventLog` in `folder/log.db`. One object may be used by many threads, and survives a fork."""

    durability: Durability = "fsync"

    def __init__(self, folder: Path, identity: LogIdentity) -> None:
        self._folder = folder
        self.identity = identity
        self.url = f"sqlite:///{folder}"
        self._room = DiskRoom(folder)
        self._writers = WritersQueue(folder)
        self._pace = Pace()
        self._local = threading.local()
        self._all: list[tuple[threading.Thread, sqlite3.Connection]] = []
        self._heads: Heads = {}
        """As this object's last append left them; read and written by whoever holds the flock. Others may have appended
        since: then an index that follows is taken, which SQLite says."""
        self._forks = 0
        self._lock = threading.Lock()
        self._appended = threading.Condition()
        self._appends = 0
        self._is_closed = False
        close_at_fork(self._close_connections, self._begin_again_in_child)

    @classmethod
    def open(cls, folder: Path, *, identity: LogIdentity | None = None) -> SqliteLog:
        """Open the log in `folder`, and begin it when there is none; see `open_log`."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder = folder.resolve()
            refuse_network_file_system(folder)
            log = cls(folder, identity or fresh_identity())
            try:
                log._begin(must_match=identity is not None)
            except BaseException:
                log.close()
                raise
        except OSError as error:
            raise Unavailable(f"the log's folder {folder} can't be used: {error}") from error
        except sqlite3.Error as error:
            raise Unavailable(f"the log {folder / 'log.db'} can't be opened: {error}") from error
        return log

    def append(self, records: Sequence[NewRecord]) -> list[Appended]:
        self._room.refuse_when_low()
        with self._writers.turn():
            heads, self._heads = self._heads, {}  # stays empty when this fails: then nobody knows
            appended = self._append_at_once(records, heads)
            if appended is None:
                appended = self._append_by_transaction(records, heads)
            for done in appended:
                heads[done.partition] = done
            self._heads = heads
        self._announce()
        return appended

    def open_line(self) -> SqliteLine | None:
        """Return what appends in the event loop; None while the disk is too slow for that, see `sqlite_line`."""
        return SqliteLine(self._append_now, self._pace, _ROWS_AT_ONCE) if self._pace.is_quick else None

    def _append_now(self, records: Sequence[NewRecord]) -> list[Appended] | None:
        """Append as `append` does, or return None when nothing was appended because it could take long: somebody else
        writes, there are many records, or others have appended since."""
        self._room.refuse_when_low()
        with self._writers.turn_now() as has_turn:
            if not has_turn:
                return None
            heads, self._heads = self._heads, {}
            try:
                appended = self._append_at_once(records, heads, may_wait=False)
            except OutcomeUnknown:
                raise
            except Unavailable:  # `append` says what is wrong, or finds that it no longer is
                self._heads = heads
                return None
            heads.update((done.partition, done) for done in appended or ())
            self._heads = heads
        if appended is not None:
            self._announce()
        return appended

    def _append_at_once(
        self, records: Sequence[NewRecord], heads: Heads, *, may_wait: bool = True
    ) -> list[Appended] | None:
        """Append by one statement, which is a transaction of its own: for a few records three quarters of the work is
        what surrounds it, and each call gives up the interpreter's lock.

        Args:
            may_wait: for a lock of SQLite's that somebody has who does not queue.

        Returns:
            None when nothing was appended: there are too many records, or the heads are not those of the log.
        """
        if not 0 < len(records) <= _ROWS_AT_ONCE or not all(record.partition in heads for record in records):
            return None
        appended = places_after(heads, records)
        try:
            with inside_sqlite():
                self._connection(may_wait=may_wait).execute(insertion(len(records)), row_values(appended, records))
        except sqlite3.IntegrityError:
            for record in records:
                heads.pop(record.partition, None)
            return None
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # what the module itself raises has none
            if code == sqlite3.SQLITE_FULL:  # so the frame that commits was not written
                raise LogFull(f"the disk of the log {self.url} is full: {error}", retry_after_s=30.0) from error
            if code in _BEFORE_WRITING:
                raise Unavailable(f"the log {self.url} can't be written: {error}") from error
            raise OutcomeUnknown(f"the log {self.url} did not confirm the append: {error}") from error
        return appended

    def _append_by_transaction(self, records: Sequence[NewRecord], heads: Heads) -> list[Appended]:
        with self._transaction() as connection:
            for partition in {record.partition for record in records}:
                heads[partition] = head_of(connection, partition)
            appended = places_after(heads, records)
            for first in range(0, len(records), _ROWS_AT_ONCE):
                some = slice(first, first + _ROWS_AT_ONCE)
                connection.execute(insertion(len(records[some])), row_values(appended[some], records[some]))
        return appended

    def read(
        self, partition: Partition, *, after: int, max_records: int = 1000, max_bytes: int = 16 << 20
    ) -> list[LogEntry]:
        entries: list[LogEntry] = []
        size_bytes = 0
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT place, appended_us, frozen FROM records WHERE place > ? AND place < ? ORDER BY place LIMIT ?",
                (place_of(partition, after), place_of(partition, 1 << INDEX_BITS), max_records),
            )
            for place, appended_us, frozen in rows:
                size_bytes += len(frozen)
                if entries and size_bytes > max_bytes:
                    break
                entries.append(LogEntry(partition, index_at(place), appended_us, FrozenRecord(frozen)))
            rows.close()
        return entries

    def heads(self) -> Positions:
        with self._reading() as connection:
            places = connection.execute(HEADS).fetchone()
        return {
            partition: 0 if place is None else index_at(place)
            for partition, place in zip(PARTITIONS, places, strict=True)
        }

    def wait(self, positions: Positions, *, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        version = -1
        while True:
            appends = self._appends
            with self._reading() as connection:
                seen = connection.execute("PRAGMA data_version").fetchone()[0]
            # data_version moves when another connection commits, of this process or another.
            if seen != version and any(head > positions.get(name, 0) for name, head in self.heads().items()):
                return True
            version = seen
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                return False
            with self._appended:
                if self._appends == appends:
                    self._appended.wait(min(_POLL_S, remaining_s))

    def look_now(self) -> None:
        self._announce()

    def publish(self, key: str, value: str) -> None:
        with self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO published VALUES (?, ?)", (key, value))

    def published(self, key: str) -> str | None:
        with self._reading() as connection:
            row = connection.execute("SELECT value FROM published WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def import_entries(self, entries: Sequence[LogEntry]) -> None:
        self._room.refuse_when_low()
        with self._writing() as connection:
            heads = {name: head_of(connection, name) for name in {entry.partition for entry in entries}}
            for entry in entries:
                head = heads[entry.partition]
                if entry.index != head.index + 1 or entry.appended_us < head.appended_us:
                    raise gap_conflict(entry, self.url, head.index)
                heads[entry.partition] = Appended(entry.partition, entry.index, entry.appended_us)
            connection.executemany(
                insertion(1),
                [(place_of(entry.partition, entry.index), entry.appended_us, entry.frozen) for entry in entries],
            )
        self._announce()

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
        self._close_connections()
        self._writers.close()

    def _close_connections(self) -> None:
        with self._lock:
            opened, self._all = self._all, []
            self._forks += 1
        for _, connection in opened:
            connection.close()

    def _begin_again_in_child(self) -> None:
        # The fork may have copied the locks while a thread held them that this process does not have.
        self._lock, self._appended = threading.Lock(), threading.Condition()
        self._writers.begin_again_in_child()

    def _begin(self, *, must_match: bool) -> None:
        with self._writers.turn(), inside_sqlite():
            connection = self._connection()
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(_SCHEMA)
            row = connection.execute("SELECT * FROM identity").fetchone()
            if row is None:
                wanted = self.identity
                connection.execute(
                    "INSERT INTO identity VALUES (?, ?, ?, ?)",
                    (wanted.log_id, wanted.format_version, wanted.partition_count, wanted.created_us),
                )
                row = connection.execute("SELECT * FROM identity").fetchone()
        found = LogIdentity(*row)
        refuse_other_identity(found, self.identity if must_match else None, self.url)
        self.identity = found

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Give the connection inside a write transaction, after those who queue already."""
        with self._writers.turn(), self._transaction() as connection:
            yield connection

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection inside a write transaction that is committed at the end, or rolled back."""
        with inside_sqlite():
            try:
                connection = self._connection()
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                raise Unavailable(f"the log {self.url} can't be written: {error}") from error
            try:
                yield connection
            except sqlite3.Error as error:
                connection.rollback()
                if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                    raise LogFull(f"the disk of the log {self.url} is full: {error}", retry_after_s=30.0) from error
                raise Unavailable(f"the log {self.url} can't be written: {error}") from error
            except BaseException:
                connection.rollback()
                raise
            try:
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                if connection.in_transaction:
                    connection.rollback()
                raise OutcomeUnknown(f"the log {self.url} did not confirm the append: {error}") from error

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with inside_sqlite():
                yield self._connection()
        except sqlite3.Error as error:
            raise Unavailable(f"the log {self.url} can't be read: {error}") from error

    def _connection(self, *, may_wait: bool = True) -> sqlite3.Connection:
        """Return this thread's connection; inside `inside_sqlite` only: none may be open at a fork."""
        if self._is_closed:
            raise Unavailable(f"the log {self.url} was closed")
        if getattr(self._local, "forks", None) != self._forks:
            self._local.connection, self._local.forks, self._local.may_wait = self._connect(), self._forks, True
        found: sqlite3.Connection = self._local.connection
        if self._local.may_wait != may_wait:
            found.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_S * 1000 if may_wait else 0:.0f}")
            self._local.may_wait = may_wait
        return found

    def _connect(self) -> sqlite3.Connection:
        """Open a connection for this thread, and close those of threads that have ended."""
        connection = sqlite3.connect(
            self._folder / "log.db", isolation_level=None, check_same_thread=False, timeout=_BUSY_TIMEOUT_S
        )
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA mmap_size=268435456")
        with self._lock:
            ended = [opened for opened in self._all if not opened[0].is_alive()]
            kept = [opened for opened in self._all if opened not in ended]
            self._all = [*kept, (threading.current_thread(), connection)]
        for _, theirs in ended:
            theirs.close()
        return connection

    def _announce(self) -> None:
        with self._appended:
            self._appends += 1
            self._appended.notify_all()
