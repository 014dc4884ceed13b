"""What tests of the appender do with one, and what they find in the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Protocol

from mltrail_api.appender import Appender, Written
from mltrail_core.events import TagSet
from mltrail_core.ids import Partition
from mltrail_core.log import EventLog
from mltrail_core.record import Actor, decode_record

PARTITION = Partition("03")
ADA = Actor("ada")


class Watched(Protocol):
    """A log that counts the appends that wait, as a thread does them."""

    waited: int


async def append(appender: Appender, value: str, partition: Partition = PARTITION) -> Written:
    return await appender.append(partition, [TagSet(1, "r" * 32, "key", value)], ADA)


async def begin(appender: Appender, log: Watched) -> None:
    """Append until the event loop does it itself."""
    while True:
        waited = log.waited
        await append(appender, "begin", Partition("00"))
        if log.waited == waited:
            return


def is_under_way(appender: Appender) -> bool:
    return appender._by is not None and appender._by._under_way is not None


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.001)


def run(work: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


def held(log: EventLog, partition: Partition = PARTITION) -> list[tuple[int, int, str]]:
    """Index, sequence and tag of each record in the partition."""
    found = []
    for entry in log.read(partition, after=0, max_records=100_000):
        record = decode_record(entry.frozen)
        [event] = record.events
        assert isinstance(event, TagSet)
        found.append((entry.index, record.sequence, event.value))
    return found
