"""Where the read model lies: its generations, the pointer to the live one, and transactions on them.

A generation is a whole set of tables: a schema `mltrail_g<N>` on PostgreSQL, a file `g<N>.db` on SQLite. The pointer
is a one-row table or the file `CURRENT`. Every transaction reads it, so that a rebuild can swap generations under load.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from mltrail_core.errors import Invalid, Unavailable
from mltrail_core.readmodel.schema import fits_this_code, write_schema_hash
from mltrail_core.readmodel.tables import METADATA

_POOL_SIZE = 16
_POOL_TIMEOUT_S = 10.0
_BUSY_TIMEOUT_S = 10.0
_START_LOCK = 0x6D6C7472
"""Advisory lock of PostgreSQL under which generations are created and dropped."""


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
        return SqliteReadModel(Path(url))
    if scheme == "sqlite":
        return SqliteReadModel(Path(rest[1:]))
    if scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        return PostgresReadModel("postgresql+psycopg://" + rest)
    raise Invalid(f"store URL {url!r}: expected postgresql://…, sqlite:///folder or the path of a folder")


@contextlib.contextmanager
def _unavailable(url: str) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if error.connection_invalidated or type(error.orig).__name__ in ("OperationalError", "InterfaceError"):
            raise Unavailable(f"the read model {url} can't be used: {error.orig}") from error
        raise
    except PoolTimeout as error:
        raise Unavailable(f"the read model {url} is busy: no connection within {_POOL_TIMEOUT_S:g} s") from error


def _unfit(url: str, generation: int) -> Unavailable:
    return Unavailable(
        f"generation {generation} of the read model {url} was made by another version of mltrail; a running projector "
        "rebuilds it from the log, or run `mltrail rebuild`",
        retry_after_s=5.0,
    )


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
        with _unavailable(self.url), self._engine(generation).begin() as connection:
            is_fitting = fits_this_code(connection, None)
        if is_fitting:
            self._fitting.add(generation)
        return is_fitting

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        generation = self.live_generation()
        if not self.fits(generation):
            raise _unfit(self.url, generation)
        with _unavailable(self.url), self._engine(generation).begin() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self, generation: int) -> Iterator[Connection]:
        engine = self._engine(generation).execution_options(mltrail_begin="BEGIN IMMEDIATE")
        with _unavailable(self.url), engine.begin() as connection:
            yield connection

    def point_at(self, connection: Connection, generation: int) -> None:
        self._write_pointer(generation)

    def generations(self) -> list[int]:
        return sorted(int(file.stem[1:]) for file in self._folder.glob("g*.db"))

    def create_generation(self, generation: int) -> None:
        self.drop_generation(generation)
        with self.writing(generation) as connection:
            METADATA.create_all(connection)
            write_schema_hash(connection)

    def drop_generation(self, generation: int) -> None:
        with self._lock:
            self._fitting.discard(generation)
            engine = self._engines.pop(generation, None)
        if engine is not None:
            engine.dispose()
        for suffix in (".db", ".db-wal", ".db-shm"):
            (self._folder / f"g{generation}{suffix}").unlink(missing_ok=True)

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
                    pool_size=_POOL_SIZE,
                    max_overflow=_POOL_SIZE,
                    pool_timeout=_POOL_TIMEOUT_S,
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
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("mltrail_begin", "BEGIN"))


class PostgresReadModel:
    """A read model in a PostgreSQL database: a schema for each generation, a one-row table for the pointer."""

    dialect = "postgresql"

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self.url = parsed.render_as_string(hide_password=True)
        self._fitting: set[int] = set()
        self._engine = create_engine(
            parsed,
            pool_size=_POOL_SIZE,
            max_overflow=_POOL_SIZE,
            pool_timeout=_POOL_TIMEOUT_S,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 5},
        )
        with _unavailable(self.url), self._engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _START_LOCK})
            connection.execute(text("CREATE TABLE IF NOT EXISTS mltrail_pointer (generation INT NOT NULL)"))
            if connection.execute(text("SELECT generation FROM mltrail_pointer")).first() is None:
                self._create(connection, 1)
                connection.execute(text("INSERT INTO mltrail_pointer VALUES (1)"))

    def live_generation(self) -> int:
        with _unavailable(self.url), self._engine.begin() as connection:
            return self._pointer(connection)

    def is_live(self, connection: Connection, generation: int) -> bool:
        return self._pointer(connection) == generation

    def fits(self, generation: int) -> bool:
        with _unavailable(self.url), self._engine.begin() as connection:
            return self._fits(self._on(connection, generation), generation)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with (
            _unavailable(self.url),
            self._engine.connect() as connection,
            connection.execution_options(**options).begin(),
        ):
            generation = self._pointer(connection)
            if not self._fits(self._on(connection, generation), generation):
                raise _unfit(self.url, generation)
            yield connection

    @contextlib.contextmanager
    def writing(self, generation: int) -> Iterator[Connection]:
        with _unavailable(self.url), self._engine.begin() as connection:
            yield self._on(connection, generation)

    def point_at(self, connection: Connection, generation: int) -> None:
        connection.execute(text("UPDATE mltrail_pointer SET generation = :n"), {"n": generation})

    def generations(self) -> list[int]:
        with _unavailable(self.url), self._engine.begin() as connection:
            names = connection.execute(text("SELECT nspname FROM pg_namespace WHERE nspname ~ '^mltrail_g[0-9]+$'"))
            return sorted(int(name.removeprefix("mltrail_g")) for name in names.scalars())

    def create_generation(self, generation: int) -> None:
        with _unavailable(self.url), self._engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _START_LOCK})
            self._create(connection, generation)

    def drop_generation(self, generation: int) -> None:
        self._fitting.discard(generation)
        with _unavailable(self.url), self._engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA IF EXISTS mltrail_g{generation} CASCADE"))

    def close(self) -> None:
        self._engine.dispose()

    def _create(self, connection: Connection, generation: int) -> None:
        connection.execute(text(f"DROP SCHEMA IF EXISTS mltrail_g{generation} CASCADE"))
        connection.execute(text(f"CREATE SCHEMA mltrail_g{generation}"))
        METADATA.create_all(self._on(connection, generation), checkfirst=False)
        write_schema_hash(connection)

    def _fits(self, connection: Connection, generation: int) -> bool:
        if generation not in self._fitting and fits_this_code(connection, f"mltrail_g{generation}"):
            self._fitting.add(generation)
        return generation in self._fitting

    def _pointer(self, connection: Connection) -> int:
        return int(connection.execute(text("SELECT generation FROM mltrail_pointer")).scalar_one())

    def _on(self, connection: Connection, generation: int) -> Connection:
        return connection.execution_options(schema_translate_map={None: f"mltrail_g{generation}"})
