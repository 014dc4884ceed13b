"""The event log in Redis or Valkey (7 or later): one stream for each partition, for servers and many machines.

A small script gives each record the next index of its partition and a time that never decreases, so index and order
are the server's. How durable an acknowledged append is, the server is asked, not told.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence

from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from mltrail_core.errors import Conflict, Invalid, LogFull, MltrailError, OutcomeUnknown, Unavailable
from mltrail_core.ids import PARTITIONS, Partition
from mltrail_core.log.genesis import fresh_identity, gap_conflict, refuse_gaps, refuse_other_identity
from mltrail_core.log.port import Appended, Durability, LogEntry, LogIdentity, NewRecord, Positions
from mltrail_core.log.redis_scripts import (
    APPEND_SCRIPT,
    GAP_ERROR,
    HEAD_KEYS,
    IDENTITY_KEY,
    IMPORT_SCRIPT,
    LOG_KEYS,
    PUBLISHED_KEY,
    calls,
)
from mltrail_core.log.redis_server import STATE_MAX_AGE_S, Command, RedisServer, Reply, exchange
from mltrail_core.record import FrozenRecord

LOW_WATER_MEMORY_SHARE = 0.05
"""Appends are refused when less than this share of the server's memory is left: jobs and heartbeats need some too."""
_PART_BYTES = 1 << 20
_PART_RECORDS = 256
"""One call of the script appends at most this much: it copies what it is given, and nothing else runs meanwhile."""
_MIN_MAJOR_VERSION = 7
_FETCH_BYTES = 64 << 20
"""No single reply to a read is larger, unless one record is."""
_BLOCK_S = 2.0
"""How long one blocking command waits: well below the reply timeout, so that a dead server is noticed."""


class RedisLog:
    """An `EventLog` in Redis streams. One object may be used by many threads, and survives a fork."""

    def __init__(self, server: RedisServer, identity: LogIdentity) -> None:
        self._server = server
        self.identity = identity
        self.url = server.url

    @classmethod
    def open(cls, url: str, *, identity: LogIdentity | None = None) -> RedisLog:
        """Open the log of the server's database, and begin it when there is none; see `open_log`.

        Raises:
            Invalid: the URL or the server's version or eviction policy won't do.
            Conflict: the log there is of another format or, with `identity` given, another log.
            Unavailable: the server can't be reached.
        """
        server = RedisServer(url)
        try:
            server.ask(("PING",))
            _refuse_unfit(server)
            wanted = identity or fresh_identity()
            # SET … NX GET: of two openers one writes, and both get the same answer.
            text = json.dumps(dataclasses.asdict(wanted), sort_keys=True).encode()
            before = server.ask(("SET", IDENTITY_KEY, text, "NX", "GET"))[0]
            found_text = before if isinstance(before, bytes) else text
            found = _identity_of(found_text, server.url)
            refuse_other_identity(found, wanted if identity is not None else None, server.url)
            server.expected_identity = found_text
        except MltrailError:
            server.close()
            raise
        return cls(server, found)

    @property
    def durability(self) -> Durability:
        return self._server.state.durability

    def append(self, records: Sequence[NewRecord]) -> list[Appended]:
        parts = _parts(records)
        arguments: list[Command] = [
            (LOG_KEYS[partition], HEAD_KEYS[partition], *(records[place].frozen for place in places))
            for partition, places in parts
        ]
        replies = self._write(calls(APPEND_SCRIPT, arguments), sum(len(record.frozen) for record in records))
        self._refuse_errors(replies)
        appended: dict[int, Appended] = {}
        for (partition, places), reply in zip(parts, replies, strict=True):
            last_index, appended_us = _integers(reply)
            for index, place in enumerate(places, start=last_index - len(places) + 1):
                appended[place] = Appended(partition, index, appended_us)
        return [appended[place] for place in range(len(records))]

    def read(
        self, partition: Partition, *, after: int, max_records: int = 1000, max_bytes: int = 16 << 20
    ) -> list[LogEntry]:
        head, largest_bytes = self._head(partition)
        entries: list[LogEntry] = []
        size_bytes = 0
        # How many records a reply may hold is bounded by the largest of the partition, so memory is bounded without
        # knowing what comes; how many are asked for, by the average so far.
        average_bytes = largest_bytes
        while after < head and len(entries) < max_records:
            if entries and size_bytes + average_bytes > max_bytes:
                break
            fitting = min((max_bytes - size_bytes) // average_bytes, _FETCH_BYTES // largest_bytes)
            count = min(max_records - len(entries), max(1, fitting))
            [reply] = self._server.ask(("XRANGE", LOG_KEYS[partition], f"0-{after + 1}", "+", "COUNT", count))
            for entry in self._entries_of(partition, reply):
                size_bytes += len(entry.frozen)
                if entries and size_bytes > max_bytes:
                    return entries
                entries.append(entry)
            if not entries or entries[-1].index == after:
                break  # trimmed or lost between the two questions
            after = entries[-1].index
            average_bytes = 1 + size_bytes // len(entries)
        return entries

    def heads(self) -> Positions:
        replies = self._server.ask(*(_ask_head(partition) for partition in PARTITIONS))
        return {partition: self._head_of(reply)[0] for partition, reply in zip(PARTITIONS, replies, strict=True)}

    def wait(self, positions: Positions, *, timeout_s: float) -> bool:
        deadline_s = time.monotonic() + timeout_s
        ids = [f"0-{positions.get(partition, 0)}" for partition in PARTITIONS]
        while True:
            block_ms = int(min(deadline_s - time.monotonic(), _BLOCK_S) * 1000)
            blocking: Command = ("BLOCK", block_ms) if block_ms > 0 else ()
            [reply] = self._server.ask(("XREAD", "COUNT", 1, *blocking, "STREAMS", *HEAD_KEYS.values(), *ids))
            if reply is not None:
                return True
            if not blocking:
                return False

    def look_now(self) -> None:
        return  # the server itself ends a wait as soon as there is something

    def publish(self, key: str, value: str) -> None:
        self._server.ask(("HSET", PUBLISHED_KEY, key, value))

    def published(self, key: str) -> str | None:
        [value] = self._server.ask(("HGET", PUBLISHED_KEY, key))
        return value.decode() if isinstance(value, bytes) else None

    def import_entries(self, entries: Sequence[LogEntry]) -> None:
        refuse_gaps(entries, self.heads(), self.url)
        arguments: list[Command] = [
            (LOG_KEYS[entry.partition], HEAD_KEYS[entry.partition], entry.index, entry.appended_us, entry.frozen)
            for entry in entries
        ]
        replies = self._write(calls(IMPORT_SCRIPT, arguments), sum(len(entry.frozen) for entry in entries))
        for reply, entry in zip(replies, entries, strict=True):
            if isinstance(reply, ResponseError) and str(reply).startswith(GAP_ERROR):
                raise gap_conflict(entry, self.url, int(str(reply).split()[-1])) from reply
        self._refuse_errors(replies)

    def close(self) -> None:
        self._server.close()

    def _write(self, commands: Sequence[Command], size_bytes: int) -> list[Reply]:
        if not commands:
            return []
        is_sent = False
        try:
            with self._server.connection(max_age_s=STATE_MAX_AGE_S) as connection:
                self._refuse_below_low_water(size_bytes)
                is_sent = True
                return exchange(connection, commands)
        except RedisError as error:
            if is_sent:
                raise OutcomeUnknown(f"the log {self.url} did not confirm the append: {error}") from error
            raise Unavailable(f"the log {self.url} can't be reached, nothing was appended: {error}") from error

    def _refuse_below_low_water(self, size_bytes: int) -> None:
        state = self._server.state
        _refuse_eviction(self._server)
        if state.write_error:
            raise LogFull(
                f"the log {self.url} can't write its file ({state.write_error}); look at its disk", retry_after_s=30.0
            )
        left_bytes = state.limit_bytes - state.used_bytes - size_bytes
        if state.limit_bytes and left_bytes < LOW_WATER_MEMORY_SHARE * state.limit_bytes:
            raise LogFull(
                f"the log {self.url} uses {state.used_bytes >> 20} of {state.limit_bytes >> 20} MiB, so {size_bytes:,} "
                "more bytes are refused; archive and trim the log or raise maxmemory",
                retry_after_s=30.0,
            )

    def _refuse_errors(self, replies: Sequence[Reply]) -> None:
        errors = [reply for reply in replies if isinstance(reply, ResponseError)]
        if not errors:
            return
        if len(errors) < len(replies):
            raise OutcomeUnknown(
                f"the log {self.url} did {len(replies) - len(errors)} of {len(replies)} parts of the append, then: "
                f"{errors[0]}"
            ) from errors[0]
        # MISCONF: the append-only file could not be written, so the server takes no more.
        if isinstance(errors[0], OutOfMemoryError) or str(errors[0]).startswith(("OOM", "MISCONF")):
            raise LogFull(f"the log {self.url} is full: {errors[0]}", retry_after_s=30.0) from errors[0]
        raise Unavailable(f"the log {self.url} refused the append: {errors[0]}") from errors[0]

    def _head(self, partition: Partition) -> tuple[int, int]:
        return self._head_of(self._server.ask(_ask_head(partition))[0])

    def _head_of(self, reply: Reply) -> tuple[int, int]:
        """Return the last index, and the size of the partition's largest record (at least 1)."""
        match reply:
            case []:
                return 0, 1
            case [[bytes(entry_id), [b"appended_us", bytes(), b"largest_bytes", bytes(largest_bytes)]]]:
                return _index_of(entry_id), max(1, int(largest_bytes))
        raise Unavailable(f"a head of the log {self.url} was not written by mltrail: {reply!r}")

    def _entries_of(self, partition: Partition, reply: Reply) -> list[LogEntry]:
        entries = []
        for item in reply if isinstance(reply, list) else [reply]:
            match item:
                case [bytes(entry_id), [b"appended_us", bytes(appended_us), b"frozen", bytes(frozen)]]:
                    entries.append(LogEntry(partition, _index_of(entry_id), int(appended_us), FrozenRecord(frozen)))
                case _:
                    raise Unavailable(f"an entry of {LOG_KEYS[partition]} in {self.url} was not written by mltrail")
        return entries


def _parts(records: Sequence[NewRecord]) -> list[tuple[Partition, list[int]]]:
    """Return which records one call of the script appends to a partition, by their places, in order."""
    parts: list[tuple[Partition, list[int]]] = []
    open_parts: dict[Partition, tuple[list[int], int]] = {}
    for place, record in enumerate(records):
        places, size_bytes = open_parts.get(record.partition, ([], 0))
        size_bytes += len(record.frozen)
        if not places or size_bytes > _PART_BYTES or len(places) == _PART_RECORDS:
            places, size_bytes = [], len(record.frozen)
            parts.append((record.partition, places))
        places.append(place)
        open_parts[record.partition] = (places, size_bytes)
    return parts


def _ask_head(partition: Partition) -> Command:
    return ("XREVRANGE", HEAD_KEYS[partition], "+", "-", "COUNT", 1)


def _index_of(entry_id: bytes) -> int:
    return int(entry_id.partition(b"-")[2])


def _integers(reply: Reply) -> tuple[int, int]:
    match reply:
        case [int(index), int(appended_us)]:
            return index, appended_us
    raise OutcomeUnknown(f"the server answered an append with {reply!r}; expected [index, time]")


def _refuse_unfit(server: RedisServer) -> None:
    version = server.state.version
    if version and int(version.split(".")[0]) < _MIN_MAJOR_VERSION:
        raise Invalid(f"the server at {server.url} is Redis {version}; the log needs {_MIN_MAJOR_VERSION} or later")
    try:
        _refuse_eviction(server)
    except Unavailable as error:
        raise Invalid(str(error)) from error


def _refuse_eviction(server: RedisServer) -> None:
    policy = server.state.eviction_policy
    if policy not in ("", "noeviction"):
        raise Unavailable(
            f"the server at {server.url} may evict what it holds (maxmemory-policy is {policy}), and a log that can "
            "lose records is none; set maxmemory-policy to noeviction"
        )


def _identity_of(text: bytes, url: str) -> LogIdentity:
    try:
        match json.loads(text):
            case {
                "log_id": str(log_id),
                "format_version": int(format_version),
                "partition_count": int(partition_count),
                "created_us": int(created_us),
            }:
                return LogIdentity(log_id, format_version, partition_count, created_us)
    except ValueError:
        pass
    raise Conflict(f"{IDENTITY_KEY} in {url} was not written by this mltrail: {text!r}; use an empty database")
