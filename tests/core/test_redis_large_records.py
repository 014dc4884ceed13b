"""Large records go to Redis in pieces that are not copied, between small ones that are."""

from __future__ import annotations

import contextlib

from mltrail_core.ids import CONTROL, Partition
from mltrail_core.log import NewRecord
from mltrail_core.log.redis import RedisLog
from mltrail_core.record import FrozenRecord


def test_large_and_small_records_of_one_append_come_back_as_they_were(redis_url: str) -> None:
    sizes = [10, 32_767, 32_768, 32_769, 5, 700_000, 600_000, 1]
    partitions = [Partition("00"), CONTROL]
    records = [
        NewRecord(partitions[number % 2], FrozenRecord(bytes([number]) * (size - 1) + b"\n"))
        for number, size in enumerate(sizes)
    ]
    with contextlib.closing(RedisLog.open(redis_url)) as log:
        appended = log.append(records)
        found = {
            (partition, entry.index): entry.frozen for partition in partitions for entry in log.read(partition, after=0)
        }
    assert [found[one.partition, one.index] for one in appended] == [record.frozen for record in records]
    assert len(found) == len(records)
