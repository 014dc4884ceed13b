"""The read model in a PostgreSQL database."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import psycopg
from sqlalchemy import Connection, LargeBinary, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from mltrail_core.readmodel.claims import SessionClaims
from mltrail_core.readmodel.schema import fits_this_code, write_schema_hash
from mltrail_core.readmodel.tables import HEAD, HEAD_CHARACTERS, HEADS_TO_COME, METADATA, params, tags
from mltrail_core.readmodel.trouble import POOL_SIZE, POOL_TIMEOUT_S, unavailable, unfit

_BYTES = [
    column for table in METADATA.sorted_tables for column in table.columns if isinstance(column.type, LargeBinary)
]
_IDLE_S = 1.0
"""A connection that rested for so long is asked whether it lives before it is used: PostgreSQL may have been restarted.
Asking each time would cost every transaction a round trip."""
_RAISE_WORK_MEM = (
    "SELECT set_config('work_mem', '16MB', false) WHERE pg_size_bytes(current_setting('work_mem')) < 16 << 20"
)
"""A search that hashes 100,000 runs, which takes 10 MB, is written to files with the 4 MB that PostgreSQL allows."""
_USED_S = "mltrail_used_s"
_START_LOCK = 0x6D6C7472
"""Advisory lock of PostgreSQL under which generations are created and dropped."""


class PostgresReadModel:
    """A read model in a PostgreSQL database: a schema for each generation, a one-row table for the pointer."""

    dialect = "postgresql"

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self.url = parsed.render_as_string(hide_password=True)
        self._fitting: set[int] = set()
        self._engine = create_engine(
            parsed,
            pool_size=POOL_SIZE,
            max_overflow=POOL_SIZE,
            pool_timeout=POOL_TIMEOUT_S,
            pool_use_lifo=True,  # few sessions are used at a time, and stay warm: statements prepared, tables known
            connect_args={"connect_timeout": 5},
        )
        event.listen(self._engine, "connect", _allow_hashing)
        event.listen(self._engine, "checkin", _note_use)
        event.listen(self._engine, "checkout", self._refuse_dead)
        with unavailable(self.url), self._engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _START_LOCK})
            connection.execute(text("CREATE TABLE IF NOT EXISTS mltrail_pointer (generation INT NOT NULL)"))
            if connection.execute(text("SELECT generation FROM mltrail_pointer")).first() is None:
                self._create(connection, 1)
                connection.execute(text("INSERT INTO mltrail_pointer VALUES (1)"))

    def live_generation(self) -> int:
        with unavailable(self.url), self._engine.begin() as connection:
            return self._pointer(connection)

    def is_live(self, connection: Connection, generation: int) -> bool:
        return self._pointer(connection) == generation

    def fits(self, generation: int) -> bool:
        with unavailable(self.url), self._engine.begin() as connection:
            return self._fits(self._on(connection, generation), generation)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        with unavailable(self.url), contextlib.ExitStack() as stack:
            try:
                connection, generation = self._begin_reading(stack)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                # The session ended since it was last used, and the pool dropped all of its age. Nothing was read yet,
                # so begin anew: a write whose answer is looked up here must not fail after it became durable.
                connection, generation = self._begin_reading(stack)
            if not self._fits(self._on(connection, generation), generation):
                raise unfit(self.url, generation)
            yield connection

    @contextlib.contextmanager
    def writing(self, generation: int) -> Iterator[Connection]:
        with unavailable(self.url), self._engine.begin() as connection:
            yield self._on(connection, generation)

    def point_at(self, connection: Connection, generation: int) -> None:
        connection.execute(text("UPDATE mltrail_pointer SET generation = :n"), {"n": generation})

    def generations(self) -> list[int]:
        with unavailable(self.url), self._engine.begin() as connection:
            names = connection.execute(text("SELECT nspname FROM pg_namespace WHERE nspname ~ '^mltrail_g[0-9]+$'"))
            return sorted(int(name.removeprefix("mltrail_g")) for name in names.scalars())

    def create_generation(self, generation: int) -> None:
        with unavailable(self.url), self._engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _START_LOCK})
            self._create(connection, generation)

    def drop_generation(self, generation: int) -> None:
        self._fitting.discard(generation)
        with unavailable(self.url), self._engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA IF EXISTS mltrail_g{generation} CASCADE"))

    def claims(self) -> SessionClaims:
        return SessionClaims(self._engine, self.url)

    def close(self) -> None:
        self._engine.dispose()

    def _begin_reading(self, stack: contextlib.ExitStack) -> tuple[Connection, int]:
        """Return a connection, in a transaction that ends with the stack, and the live generation."""
        connection = stack.enter_context(self._engine.connect())
        connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        return connection, self._pointer(connection)

    def _refuse_dead(self, driver: DBAPIConnection, entry: ConnectionPoolEntry, proxied: PoolProxiedConnection) -> None:
        """Make the pool open its connections anew when one that rested no longer reaches the server."""
        used_s = entry.info.get(_USED_S)
        if used_s is None or time.monotonic() - used_s < _IDLE_S:
            return
        try:
            self._engine.dialect.do_ping(driver)
        except psycopg.Error as error:
            raise InvalidatePoolError from error

    def _create(self, connection: Connection, generation: int) -> None:
        connection.execute(text(f"DROP SCHEMA IF EXISTS mltrail_g{generation} CASCADE"))
        connection.execute(text(f"CREATE SCHEMA mltrail_g{generation}"))
        tables = self._on(connection, generation)
        METADATA.create_all(tables.execution_options(**{HEADS_TO_COME: True}), checkfirst=False)
        tables = tables.execution_options(**{HEADS_TO_COME: False})
        for table in (params, tags):
            head = f'{HEAD} text COLLATE "C" GENERATED ALWAYS AS (substr(value, 1, {HEAD_CHARACTERS})) STORED'
            connection.execute(text(f"ALTER TABLE mltrail_g{generation}.{table.name} ADD COLUMN {head}"))
            for index in table.indexes:
                index.create(tables)
        for column in _BYTES:
            # Trying to compress blocks of points took four times as long as all else that a narrow run's points cost;
            # compaction packs them for good.
            place = f"mltrail_g{generation}.{column.table.name} ALTER COLUMN {column.name}"
            connection.execute(text(f"ALTER TABLE {place} SET STORAGE EXTERNAL"))
        write_schema_hash(connection)

    def _fits(self, connection: Connection, generation: int) -> bool:
        if generation not in self._fitting and fits_this_code(connection, f"mltrail_g{generation}"):
            self._fitting.add(generation)
        return generation in self._fitting

    def _pointer(self, connection: Connection) -> int:
        return int(connection.execute(text("SELECT generation FROM mltrail_pointer")).scalar_one())

    def _on(self, connection: Connection, generation: int) -> Connection:
        return connection.execution_options(schema_translate_map={None: f"mltrail_g{generation}"})


def _allow_hashing(driver: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = driver.cursor()
    cursor.execute(_RAISE_WORK_MEM)
    cursor.close()
    driver.commit()


def _note_use(driver: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
    entry.info[_USED_S] = time.monotonic()
