"""A line to the server of a Redis log: appends that an event loop sends and receives itself, see `log.line`.

The bytes of the one command are written here: taking a connection from redis-py's pool, packing and reading cost four
times as much as all that is said for a small append.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence
from functools import cache

import hiredis
from redis.exceptions import RedisError, ResponseError

from mltrail_core.errors import OutcomeUnknown, Unavailable
from mltrail_core.ids import Partition
from mltrail_core.log.port import Appended, NewRecord
from mltrail_core.log.redis_append import PART_RECORDS, appended_of, refuse_below_low_water, refuse_errors
from mltrail_core.log.redis_scripts import APPEND_SCRIPT, HEAD_KEYS, LOG_KEYS, hash_of
from mltrail_core.log.redis_server import STATE_MAX_AGE_S, Connection, RedisServer, Reply, exchange

LINE_BYTES = 128 << 10
"""More at once goes by an append that waits: a socket takes about this much without."""
_READ_BYTES = 1 << 16


class RedisLine:
    """An `AppendLine` on a connection of its own."""

    max_records = PART_RECORDS

    def __init__(self, server: RedisServer, connection: Connection, channel: socket.socket) -> None:
        self._server = server
        self._connection: Connection | None = connection
        self._channel = channel
        self._reader = hiredis.Reader(replyError=ResponseError)
        self._unsent = b""
        self._parts: list[tuple[Partition, list[int]]] = []
        """Of the append under way; empty when there is none."""
        self._replies: list[Reply] = []

    @classmethod
    def open(cls, server: RedisServer) -> RedisLine | None:
        """Return a line, or None: TLS wants more than reading and writing, and scripts may be forbidden.

        Raises:
            Unavailable: the server can't be reached, or holds another log.
        """
        try:
            connection = server.take_connection()
        except RedisError as error:
            raise Unavailable(f"the log {server.url} can't be reached: {error}") from error
        try:
            [known] = exchange(connection, [("SCRIPT", "LOAD", APPEND_SCRIPT)])
        except RedisError as error:
            server.give_back(connection)
            raise Unavailable(f"the log {server.url} can't be reached: {error}") from error
        channel: object = vars(connection).get("_sock")  # redis-py has no other way to it
        if isinstance(known, ResponseError) or type(channel) is not socket.socket:
            server.give_back(connection)
            return None
        channel.setblocking(False)
        return cls(server, connection, channel)

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._channel.fileno()

    @property
    def is_open(self) -> bool:
        """Whether the connection is not known to be broken."""
        return self._connection is not None

    @property
    def has_unsent(self) -> bool:
        """Whether the socket did not take all."""
        return bool(self._unsent)

    def send(self, records: Sequence[NewRecord]) -> bool:
        """Send one call of the script for each partition; False when there is much, or the server has to be asked how
        it is: as often as by `RedisLog.append`."""
        size_bytes = sum([len(record.frozen) for record in records])
        if size_bytes > LINE_BYTES or len(records) > PART_RECORDS or self._connection is None:
            return False
        if time.monotonic() - self._server.asked_at_s > STATE_MAX_AGE_S:
            return False
        refuse_below_low_water(self._server, size_bytes)
        places: dict[Partition, list[int]] = {}
        for place, record in enumerate(records):
            places.setdefault(record.partition, []).append(place)
        parts = list(places.items())
        command = b"".join([_call(name, [records[place].frozen for place in of]) for name, of in parts])
        try:
            sent_bytes = self._channel.send(command)
        except OSError:  # also when the socket takes nothing now: it is not worth knowing why
            self.close()
            return False
        self._parts, self._replies, self._unsent = parts, [], command[sent_bytes:]
        return True

    def receive(self) -> list[Appended] | None:
        """Read what has come, and return what the whole reply says."""
        try:
            data = self._channel.recv(_READ_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._broken(str(error)) from error
        if not data:
            raise self._broken("the connection was closed")
        self._reader.feed(data)
        while len(self._replies) < len(self._parts):
            reply = self._reader.gets()
            if reply is False:
                return None
            self._replies.append(reply)
        parts, self._parts = self._parts, []
        if not parts:
            raise self._broken("it said something that was not asked for")
        if any(isinstance(reply, ResponseError) for reply in self._replies):
            self.close()  # such as NOSCRIPT: what the server is now, an append that waits finds out
            refuse_errors(self._server.url, self._replies)
        return appended_of(parts, self._replies)

    def finish(self, timeout_s: float) -> list[Appended]:
        """Send what is left, then wait for the reply."""
        deadline_s = time.monotonic() + timeout_s
        poll = select.poll()
        while True:
            if self._connection is None:
                raise self._broken("it is closed")
            poll.register(self._channel, select.POLLOUT if self._unsent else select.POLLIN)
            if not poll.poll(max(0.0, deadline_s - time.monotonic()) * 1000):
                raise self._broken(f"no answer within {timeout_s:g} s")
            if self._unsent:
                self._send_rest()
            elif (appended := self.receive()) is not None:
                return appended

    def close(self) -> None:
        """Give the connection back, closed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._server.give_back(connection)

    def _send_rest(self) -> None:
        try:
            self._unsent = self._unsent[self._channel.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError as error:
            raise self._broken(str(error)) from error

    def _broken(self, why: str) -> Unavailable:
        self.close()
        self._parts, self._unsent = [], b""
        return OutcomeUnknown(f"the log {self._server.url} did not confirm the append: {why}")


def _call(partition: Partition, frozen: Sequence[bytes]) -> bytes:
    arguments = [b"$%d\r\n%b\r\n" % (len(each), each) for each in frozen]
    return b"*%d\r\n%b%b" % (5 + len(frozen), _call_begin(partition), b"".join(arguments))


@cache
def _call_begin(partition: Partition) -> bytes:
    words = ["EVALSHA", hash_of(APPEND_SCRIPT), "2", LOG_KEYS[partition], HEAD_KEYS[partition]]
    return b"".join(b"$%d\r\n%b\r\n" % (len(word), word.encode()) for word in words)
