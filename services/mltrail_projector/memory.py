"""What a process remembers of the transactions that it committed, so that the next ones ask the database for less.

Rows are written by the fold of their own partition only, and a transaction begins with the compare-and-set of the
positions of its partitions. So what was read or written in an earlier transaction still stands, unless that fails:
then all is forgotten.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import Table

from mltrail_core.ids import Partition
from mltrail_core.readmodel import tables

REMEMBERED_ROWS = frozenset({tables.runs, tables.producers})
REMEMBERED_SETS = frozenset({tables.metric_summaries})
"""What records of points look at, thousands of times a second: rows of half a kilobyte."""
MAX_ROWS = 60_000
"""Of each table: 30 MB. Past it all of them are forgotten."""

MAX_REMEMBERED = 500_000
"""Keys remembered, of at most 250 characters: some 50 MB at worst. Past it all are forgotten, and looked up again."""

Key = tuple[Any, ...]
Kind = Literal["metric", "param", "tag"]
Scope = tuple[str, Kind, Partition]


class WrittenKeys:
    """The keys that committed transactions of one generation have written down, as far as this process remembers.

    Rows of the catalogue are never removed, so what is remembered stays true for as long as the generation lasts.
    """

    def __init__(self) -> None:
        self._keys: dict[Scope, set[str]] = defaultdict(set)
        self._count = 0

    def of(self, scope: Scope) -> set[str]:
        """Return the keys of an experiment, kind and partition; not to be changed."""
        return self._keys[scope]

    def remember(self, scope: Scope, keys: set[str]) -> None:
        """Say that a transaction that has committed wrote these keys, none of which was remembered."""
        self._count += len(keys)
        if self._count > MAX_REMEMBERED:
            self._keys.clear()
            self._count = len(keys)
        self._keys[scope] |= keys


class Memory:
    """What stands in one generation, by the transactions on it that this process committed."""

    def __init__(self) -> None:
        self.written = WrittenKeys()
        self._rows: dict[Table, dict[Key, Any]] = {table: {} for table in REMEMBERED_ROWS | REMEMBERED_SETS}

    def rows(self, table: Table) -> Mapping[Key, Any]:
        """Return the remembered rows of a table, by primary key."""
        return self._rows[table]

    def remember(self, table: Table, rows: Mapping[Key, Any]) -> None:
        """Say that these rows stand in the table, or (None) do not, since a transaction that has committed."""
        known = self._rows[table]
        if len(known) + len(rows) > MAX_ROWS:
            known.clear()
        if len(rows) <= MAX_ROWS:
            known.update(rows)
