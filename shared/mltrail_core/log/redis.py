"""The event log in Redis or Valkey (7 or later): one stream for each partition, for servers and many machines.

A small script gives each record the next index of its partition and a time that never decreases, so index and order
are the server's. How durable an acknowledged append is, the server is asked, not told.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence

from redis.exceptions import RedisError, ResponseError

from mltrail_core.errors import Conflict, Invalid, MltrailError, OutcomeUnknown, Unavailable
from mltrail_core.ids import PARTITIONS, Partition
from mltrail_core.log.genesis import fresh_identity, gap_conflict, refuse_gaps, refuse_other_identity
from mltrail_core.log.port import Appended, Durability, LogEntry, LogIdentity, NewRecord, Positions
from mltrail_core.log.redis_append import appended_of, parts_of, refuse_below_low_water, refuse_errors, refuse_eviction
from mltrail_core.log.redis_line import RedisLine
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
from mltrail_core.log.redis_server import STATE_MAX_AGE_S, Command, RedisServer, Reply, exchange, pack
from mltrail_core.record import FrozenRecord

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
        self._has_lines = True

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
        parts = parts_of(records)
        arguments: list[Command] = [
            (LOG_KEYS[partition], HEAD_KEYS[partition], *(records[place].frozen for place in places))
            for partition, places in parts
        ]
        replies = self._write(calls(APPEND_SCRIPT, arguments), sum(len(record.frozen) for record in records))
        refuse_errors(self.url, replies)
        return appended_of(parts, replies)

    def open_line(self) -> RedisLine | None:
        """Return a line to the server, or None where there is none, see `mltrail_core.log.line`.

        Raises:
            Unavailable: the server can't be reached.
        """
        line = RedisLine.open(self._server) if self._has_lines else None
        self._has_lines = line is not None
        return line

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
        replies = self._server.ask_packed(_ASK_HEADS, len(PARTITIONS))
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
        refuse_errors(self.url, replies)

    def close(self) -> None:
        self._server.close()

    def _write(self, commands: Sequence[Command], size_bytes: int) -> list[Reply]:
        if not commands:
            return []
        is_sent = False
        try:
            with self._server.connection(max_age_s=STATE_MAX_AGE_S) as connection:
                refuse_below_low_water(self._server, size_bytes)
                is_sent = True
                return exchange(connection, commands)
        except RedisError as error:
            if is_sent:
                raise OutcomeUnknown(f"the log {self.url} did not confirm the append: {error}") from error
            raise Unavailable(f"the log {self.url} can't be reached, nothing was appended: {error}") from error

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


def _ask_head(partition: Partition) -> Command:
    return ("XREVRANGE", HEAD_KEYS[partition], "+", "-", "COUNT", 1)


_ASK_HEADS = pack([_ask_head(partition) for partition in PARTITIONS])


def _index_of(entry_id: bytes) -> int:
    return int(entry_id.partition(b"-")[2])


def _refuse_unfit(server: RedisServer) -> None:
    version = server.state.version
    if version and int(version.split(".")[0]) < _MIN_MAJOR_VERSION:
        raise Invalid(f"the server at {server.url} is Redis {version}; the log needs {_MIN_MAJOR_VERSION} or later")
    try:
        refuse_eviction(server)
    except Unavailable as error:
        raise Invalid(str(error)) from error


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
