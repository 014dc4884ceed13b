"""Where records stand in the SQLite log's table, and the statements that put them there.

`place` is partition number << 48 | index: one B-tree clustered by partition, so reads are sequential.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from functools import cache

from mltrail_core.ids import PARTITIONS, Partition
from mltrail_core.log.port import Appended, NewRecord

INDEX_BITS = 48
_NUMBER_OF = {partition: number for number, partition in enumerate(PARTITIONS)}


Heads = dict[Partition, Appended]
"""The last record of partitions; one of index 0 stands for none."""


def place_of(partition: Partition, index: int) -> int:
    """Return the place of a record."""
    return (_NUMBER_OF[partition] << INDEX_BITS) + index


def index_at(place: int) -> int:
    """Return the index of the record at `place`."""
    return place & ((1 << INDEX_BITS) - 1)


def head_of(connection: sqlite3.Connection, partition: Partition) -> Appended:
    """Return where the partition's last record is, as the connection sees it; index 0 when there is none."""
    row = connection.execute(
        "SELECT place, appended_us FROM records WHERE place >= ? AND place < ? ORDER BY place DESC LIMIT 1",
        (place_of(partition, 0), place_of(partition, 1 << INDEX_BITS)),
    ).fetchone()
    return Appended(partition, 0, 0) if row is None else Appended(partition, index_at(row[0]), row[1])


def places_after(heads: Heads, records: Sequence[NewRecord]) -> list[Appended]:
    """Return where the records come that are appended now.

    Args:
        heads: of the records' partitions at least.
        records: in their order.
    """
    indices = {partition: heads[partition].index for partition in {record.partition for record in records}}
    appended_us = max([time.time_ns() // 1000, *(heads[partition].appended_us for partition in indices)])
    appended = []
    for record in records:
        indices[record.partition] = index = indices[record.partition] + 1
        appended.append(Appended(record.partition, index, appended_us))
    return appended


def row_values(appended: Sequence[Appended], records: Sequence[NewRecord]) -> list[int | bytes]:
    """Return what `insertion` takes for records that come to these places."""
    values: list[int | bytes] = []
    for done, record in zip(appended, records, strict=True):
        values += (place_of(done.partition, done.index), done.appended_us, record.frozen)
    return values


@cache
def insertion(rows: int) -> str:
    """Return the statement that inserts so many records; it fails as a whole when one of their places is taken."""
    return "INSERT INTO records VALUES " + ", ".join(["(?, ?, ?)"] * rows)


HEADS = "SELECT " + ", ".join(
    f"(SELECT max(place) FROM records WHERE place >= {place_of(name, 0)} AND place < {place_of(name, 1 << INDEX_BITS)})"
    for name in PARTITIONS
)
"""The place of each partition's last record: one statement, since every read of the API asks for it."""
