"""The read model in a folder, for an installation with no service at hand."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from mltrail_core.errors import Unavailable
from mltrail_core.readmodel.claims import FileClaims
from mltrail_core.readmodel.schema import fits_this_code, write_schema_hash
from mltrail_core.readmodel.tables import METADATA
from mltrail_core.readmodel.trouble import POOL_SIZE, POOL_TIMEOUT_S, unavailable, unfit

_BUSY_TIMEOUT_S = 10.0

_WAL_PAGES = 8_000
"""So many pages, 32 MB, the WAL has before they are moved into the database: the same pages of indexes change again and
again, and moving them after 1,000, as SQLite does, took a tenth of the projector's time."""


class SqliteReadModel:
    """A read model in a folder: `g<N>.db` for each generation, `CURRENT` for the pointer."""

    dialect = "sqlite"

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"the read model's folder {folder} can't be used: {error}") from error
        self._folder = folder.resolve()
        self.url = f"sqlite:///{self._folder}"
        self._engines: dict[int, Engine] = {}
        self._fitting: set[int] = set()
        self._lock = threading.Lock()
        with self._start_lock():
            if not (self._folder / "CURRENT").exists():
                self.create_generation(1)
                self._write_pointer(1)

    def live_generation(self) -> int:
        return int((self._folder / "CURRENT").read_text())

    def is_live(self, connection: Connection, generation: int) -> bool:
        return self.live_generation() == generation

    def fits(self, generation: int) -> bool:
        if generation in self._fitting:
            return True
        with unavailable(self.url), self._engine(generation).begin() as connection:
            is_fitting = fits_this_code(connection, None)
        if is_fitting:
            self._fitting.add(generation)
        return is_fitting

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        generation = self.live_generation()
        if not self.fits(generation):
            raise unfit(self.url, generation)
        with unavailable(self.url), self._engine(generation).begin() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self, generation: int) -> Iterator[Connection]:
        engine = self._engine(generation).execution_options(mltrail_begin="BEGIN IMMEDIATE")
        with unavailable(self.url), engine.begin() as connection:
            yield connection

    def point_at(self, connection: Connection, generation: int) -> None:
        self._write_pointer(generation)

    def generations(self) -> list[int]:
        return sorted(int(file.stem[1:]) for file in self._folder.glob("g*.db"))

    def create_generation(self, generation: int) -> None:
        self.drop_generation(generation)
        with self.writing(generation) as connection:
            METADATA.create_all(connection, checkfirst=False)  # the file is new: there is nothing to look for
            write_schema_hash(connection)

    def drop_generation(self, generation: int) -> None:
        with self._lock:
            self._fitting.discard(generation)
            engine = self._engines.pop(generation, None)
        if engine is not None:
            engine.dispose()
        for suffix in (".db", ".db-wal", ".db-shm"):
            (self._folder / f"g{generation}{suffix}").unlink(missing_ok=True)

    def claims(self) -> FileClaims:
        return FileClaims(self._folder / "projector.lock")

    def close(self) -> None:
        with self._lock:
            engines, self._engines = list(self._engines.values()), {}
        for engine in engines:
            engine.dispose()

    def _engine(self, generation: int) -> Engine:
        with self._lock:
            if generation not in self._engines:
                engine = create_engine(
                    f"sqlite:///{self._folder / f'g{generation}.db'}",
                    connect_args={"timeout": _BUSY_TIMEOUT_S, "check_same_thread": False},
                    pool_size=POOL_SIZE,
                    max_overflow=POOL_SIZE,
                    pool_timeout=POOL_TIMEOUT_S,
                )
                event.listen(engine, "connect", _prepare_sqlite)
                event.listen(engine, "begin", _begin_sqlite)
                self._engines[generation] = engine
            return self._engines[generation]

    def _write_pointer(self, generation: int) -> None:
        unfinished = self._folder / "CURRENT.new"
        with unfinished.open("w") as file:
            file.write(str(generation))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._folder / "CURRENT")

    @contextlib.contextmanager
    def _start_lock(self) -> Iterator[None]:
        with (self._folder / "start.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _prepare_sqlite(connection: object, _: ConnectionPoolEntry) -> None:
    assert hasattr(connection, "cursor")
    connection.isolation_level = None  # type: ignore[attr-defined]  # BEGIN is ours, see _begin_sqlite
    cursor = connection.cursor()
    # The read model is disposable: NORMAL may lose whole transactions in a power cut; the log gives them back.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "temp_store=MEMORY", "cache_size=-32768"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.execute(f"PRAGMA wal_autocheckpoint={_WAL_PAGES}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("mltrail_begin", "BEGIN"))
