"""Which statements a connection of the read model performs, also those that leave together and pass SQLAlchemy by."""

from __future__ import annotations

from typing import Any

import psycopg
from sqlalchemy import Connection, event


def statements_of(connection: Connection) -> list[str]:
    """Return a list to which each statement is added from now on."""
    statements: list[str] = []
    if connection.dialect.name != "postgresql":
        event.listen(connection, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
        return statements

    class Noting(psycopg.Cursor[Any]):
        def execute(self, query: Any, *arguments: Any, **options: Any) -> Noting:
            statements.append(str(query))
            return super().execute(query, *arguments, **options)

    driver: Any = connection.connection.driver_connection
    driver.cursor_factory = Noting
    return statements
