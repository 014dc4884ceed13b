"""What an append to the Redis log is, however it is sent: when it is refused, which calls it is, what replies say."""

from __future__ import annotations

from collections.abc import Sequence

from redis.exceptions import OutOfMemoryError, ResponseError

from mltrail_core.errors import LogFull, OutcomeUnknown, Unavailable
from mltrail_core.ids import Partition
from mltrail_core.log.port import Appended, NewRecord
from mltrail_core.log.redis_server import RedisServer, Reply

LOW_WATER_MEMORY_SHARE = 0.05
"""Appends are refused when less than this share of the server's memory is left: jobs and heartbeats need some too."""
PART_BYTES = 1 << 20
PART_RECORDS = 256
"""One call of the script appends at most this much: it copies what it is given, and nothing else runs meanwhile."""

Parts = Sequence[tuple[Partition, Sequence[int]]]
"""Which records one call of the script appends to a partition, by their places, in order."""


def parts_of(records: Sequence[NewRecord]) -> Parts:
    """Return the calls that append the records."""
    parts: list[tuple[Partition, list[int]]] = []
    open_parts: dict[Partition, tuple[list[int], int]] = {}
    for place, record in enumerate(records):
        places, size_bytes = open_parts.get(record.partition, ([], 0))
        size_bytes += len(record.frozen)
        if not places or size_bytes > PART_BYTES or len(places) == PART_RECORDS:
            places, size_bytes = [], len(record.frozen)
            parts.append((record.partition, places))
        places.append(place)
        open_parts[record.partition] = (places, size_bytes)
    return parts


def appended_of(parts: Parts, replies: Sequence[Reply]) -> list[Appended]:
    """Return where the records are, in their order, as the server answered each part."""
    appended: dict[int, Appended] = {}
    for (partition, places), reply in zip(parts, replies, strict=True):
        last_index, appended_us = _integers(reply)
        for index, place in enumerate(places, start=last_index - len(places) + 1):
            appended[place] = Appended(partition, index, appended_us)
    return [appended[place] for place in range(len(appended))]


def refuse_below_low_water(server: RedisServer, size_bytes: int) -> None:
    """Raise when the server, by what it last said of itself, should not take so many more bytes."""
    state = server.state
    refuse_eviction(server)
    if state.write_error:
        raise LogFull(
            f"the log {server.url} can't write its file ({state.write_error}); look at its disk", retry_after_s=30.0
        )
    left_bytes = state.limit_bytes - state.used_bytes - size_bytes
    if state.limit_bytes and left_bytes < LOW_WATER_MEMORY_SHARE * state.limit_bytes:
        raise LogFull(
            f"the log {server.url} uses {state.used_bytes >> 20} of {state.limit_bytes >> 20} MiB, so {size_bytes:,} "
            "more bytes are refused; archive and trim the log or raise maxmemory",
            retry_after_s=30.0,
        )


def refuse_eviction(server: RedisServer) -> None:
    """Raise when the server may evict what it holds."""
    policy = server.state.eviction_policy
    if policy not in ("", "noeviction"):
        raise Unavailable(
            f"the server at {server.url} may evict what it holds (maxmemory-policy is {policy}), and a log that can "
            "lose records is none; set maxmemory-policy to noeviction"
        )


def refuse_errors(url: str, replies: Sequence[Reply]) -> None:
    """Raise when a part was answered by an error: of unknown outcome, unless all were, and so nothing was appended."""
    errors = [reply for reply in replies if isinstance(reply, ResponseError)]
    if not errors:
        return
    if len(errors) < len(replies):
        raise OutcomeUnknown(
            f"the log {url} did {len(replies) - len(errors)} of {len(replies)} parts of the append, then: {errors[0]}"
        ) from errors[0]
    # MISCONF: the append-only file could not be written, so the server takes no more.
    if isinstance(errors[0], OutOfMemoryError) or str(errors[0]).startswith(("OOM", "MISCONF")):
        raise LogFull(f"the log {url} is full: {errors[0]}", retry_after_s=30.0) from errors[0]
    raise Unavailable(f"the log {url} refused the append: {errors[0]}") from errors[0]


def _integers(reply: Reply) -> tuple[int, int]:
    match reply:
        case [int(index), int(appended_us)]:
            return index, appended_us
    raise OutcomeUnknown(f"the server answered an append with {reply!r}; expected [index, time]")
