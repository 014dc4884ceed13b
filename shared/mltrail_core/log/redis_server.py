"""Connections to the server of a Redis log, and what that server says of itself: durability, memory, whose log it is.

Every connection that is opened asks first, so what is known is never about a server that was replaced or restarted.
"""

from __future__ import annotations

import contextlib
import math
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from redis import ConnectionPool
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from mltrail_core.errors import Invalid, MltrailError, Unavailable
from mltrail_core.log.port import Durability
from mltrail_core.log.redis_scripts import IDENTITY_KEY

CONNECT_TIMEOUT_S = 3.0
REPLY_TIMEOUT_S = 10.0
"""How long a reply may take: longer than a disk's worst fsync."""
STATE_MAX_AGE_S = 1.0
_READ_RETRIES = 2
_MAX_CONNECTIONS = 10_000
"""More threads than a process has: a pool that runs dry would refuse an append for no reason."""

_LARGE_BYTES = 32 << 10

Command = tuple[str | int | bytes, ...]
Reply = object
"""What RESP 2 gives: bytes, int, None, a list of replies, or a ResponseError."""


class Connection(Protocol):
    """What is used of redis-py's connection, which it leaves untyped."""

    def on_connect(self) -> None: ...
    def pack_commands(self, commands: Sequence[Command]) -> list[bytes]: ...
    def send_packed_command(self, command: list[bytes]) -> None: ...
    def read_response(self) -> object: ...
    def disconnect(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ServerState:
    """What a server said of itself. Numbers are 0 and texts empty where it was not allowed to say."""

    version: str = ""
    durability: Durability = "memory"
    used_bytes: int = 0
    limit_bytes: int = 0
    """What memory may grow to: maxmemory, or the machine's memory when there is no such limit; 0 if unknown."""
    eviction_policy: str = ""
    """Empty when nothing is evicted because maxmemory is 0."""
    write_error: str = ""
    """Why the append-only file could not be written last time; empty when it could."""
    identity: bytes | None = None


def exchange(connection: Connection, commands: Sequence[Command]) -> list[Reply]:
    """Send all commands and return all replies, error replies in their places.

    Raises:
        RedisError: the connection broke; what was sent may or may not have been done.
    """
    return _exchange(connection, _packed(connection, commands), len(commands))


def pack(commands: Sequence[Command]) -> list[bytes]:
    """Return small commands as they are sent: for those that are asked so often that packing them would count."""
    words = [[word if isinstance(word, bytes) else str(word).encode() for word in command] for command in commands]
    return [b"".join(b"*%d\r\n" % len(each) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in each) for each in words)]


def _exchange(connection: Connection, packed: list[bytes], count: int) -> list[Reply]:
    connection.send_packed_command(packed)
    replies: list[Reply] = []
    for _ in range(count):
        try:
            replies.append(connection.read_response())
        except ResponseError as error:
            replies.append(error)
    return replies


def _packed(connection: Connection, commands: Sequence[Command]) -> list[bytes]:
    """Return what to send, piece by piece; large records among it are not copied.

    redis-py copies each of them three times, and fresh memory for megabytes costs the kernel more than sending them.
    """
    if not any(isinstance(word, bytes) and len(word) >= _LARGE_BYTES for command in commands for word in command):
        return connection.pack_commands(commands)
    pieces: list[bytes] = []
    small: list[bytes] = []
    for command in commands:
        small.append(b"*%d\r\n" % len(command))
        for word in command:
            data = word if isinstance(word, bytes) else str(word).encode()
            small.append(b"$%d\r\n" % len(data))
            if len(data) >= _LARGE_BYTES:
                pieces += (b"".join(small), data)
                small = [b"\r\n"]
            else:
                small += (data, b"\r\n")
    return [*pieces, b"".join(small)]


class RedisServer:
    """One server, for many threads; a forked child gets connections of its own (redis-py's pool looks at the pid)."""

    def __init__(self, url: str) -> None:
        self.url = url_without_password(url)
        self.state = ServerState()
        self.expected_identity: bytes | None = None
        """Once set, a server that holds another log or none is not used."""
        self.asked_at_s = -math.inf
        """When `state` was said, by the monotonic clock, which may begin with the machine."""
        self._unasked: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._is_closed = False
        try:
            self._pool = ConnectionPool.from_url(
                url,
                protocol=2,
                socket_connect_timeout=CONNECT_TIMEOUT_S,
                socket_timeout=REPLY_TIMEOUT_S,
                socket_keepalive=True,
                max_connections=_MAX_CONNECTIONS,
                redis_connect_func=self._on_connect,
                # Never a hidden retry: an append that is sent again must be the caller's decision.
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError as error:
            raise Invalid(f"log URL {self.url!r}: {error}; expected redis://user:password@host:port/db") from error

    @contextlib.contextmanager
    def connection(self, *, max_age_s: float | None = None) -> Iterator[Connection]:
        """Give a connection for one exchange; nothing of the caller's was sent when entering fails.

        `state` is what the server said on this connection when it was opened or, with `max_age_s` given, at most that
        long ago.

        Raises:
            RedisError: the server can't be reached.
            Unavailable: it holds another log or none, or the log was closed.
        """
        if self._is_closed:
            raise Unavailable(f"the log {self.url} was closed")
        connection: Connection = self._pool.get_connection()
        try:
            is_old = max_age_s is not None and time.monotonic() - self.asked_at_s > max_age_s
            if is_old or connection in self._unasked:
                self._ask_state(connection)
            yield connection
        except MltrailError:
            raise  # a refusal, between two exchanges
        except BaseException:
            # Replies may still be on their way; the next user of the connection must not get them.
            connection.disconnect()
            raise
        finally:
            self._pool.release(connection)  # type: ignore[arg-type]

    def take_connection(self) -> Connection:
        """Return a connection that is nobody else's until it is given back.

        Raises:
            RedisError: the server can't be reached.
            Unavailable: it holds another log or none, or the log was closed.
        """
        if self._is_closed:
            raise Unavailable(f"the log {self.url} was closed")
        connection: Connection = self._pool.get_connection()
        try:
            if connection in self._unasked:
                self._ask_state(connection)
        except BaseException:
            self.give_back(connection)
            raise
        return connection

    def give_back(self, connection: Connection) -> None:
        """Close a connection that was taken; it is opened again for who takes it next."""
        connection.disconnect()
        self._pool.release(connection)  # type: ignore[arg-type]

    def ask(self, *commands: Command) -> list[Reply]:
        """Return the replies to commands that may be repeated; connections that break are replaced a few times.

        Raises:
            Unavailable: the server can't be reached, or a reply is an error.
        """
        return self._ask(lambda connection: exchange(connection, commands))

    def ask_packed(self, packed: list[bytes], count: int) -> list[Reply]:
        """Do as `ask`, with the `count` commands that `pack` packed."""
        return self._ask(lambda connection: _exchange(connection, packed, count))

    def _ask(self, put: Callable[[Connection], list[Reply]]) -> list[Reply]:
        def once() -> list[Reply]:
            with self.connection() as connection:
                return put(connection)

        retry = Retry(ExponentialBackoff(cap=0.2, base=0.05), _READ_RETRIES, (RedisConnectionError, RedisTimeoutError))
        no_cleanup: Callable[[Exception], None] = lambda error: None  # noqa: E731
        try:
            replies = retry.call_with_retry(once, no_cleanup)
        except RedisError as error:
            raise Unavailable(f"the log {self.url} can't be reached: {error}") from error
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise Unavailable(f"the log {self.url} answered with an error: {reply}") from reply
        return replies

    def close(self) -> None:
        """Close every connection, also those in use by other threads."""
        self._is_closed = True
        self._pool.disconnect(inuse_connections=True)

    def _on_connect(self, connection: Connection) -> None:
        connection.on_connect()
        self._unasked.add(connection)

    def _ask_state(self, connection: Connection) -> None:
        info, config, identity = exchange(
            connection,
            [
                ("INFO",),
                ("CONFIG", "GET", "appendonly", "appendfsync", "no-appendfsync-on-rewrite"),
                ("GET", IDENTITY_KEY),
            ],
        )
        if isinstance(identity, ResponseError):
            raise identity
        state = state_of(_info_fields(info), _config_fields(config), identity if isinstance(identity, bytes) else None)
        if self.expected_identity not in (None, state.identity):
            raise Unavailable(
                f"the server at {self.url} holds {'no log' if state.identity is None else 'another log'} any more: it "
                "lost its data or was replaced; restore its append-only file, or start mltrail anew on what is there",
                retry_after_s=30.0,
            )
        self.state = state
        self.asked_at_s = time.monotonic()
        self._unasked.discard(connection)


def state_of(info: Mapping[str, str], config: Mapping[str, str], identity: bytes | None) -> ServerState:
    """Return the state that the fields of INFO and CONFIG GET describe; either is empty when it was forbidden."""
    is_fsynced = (
        config.get("appendonly") == "yes"
        and config.get("appendfsync") == "always"
        # With `yes`, nothing is fsynced while a rewrite of the append-only file runs.
        and config.get("no-appendfsync-on-rewrite") == "no"
        and info.get("aof_enabled") == "1"
    )
    max_memory_bytes = int(info.get("maxmemory", 0))
    write_status = info.get("aof_last_write_status", "ok")
    return ServerState(
        version=info.get("redis_version", ""),
        durability="fsync" if is_fsynced else "memory",
        used_bytes=int(info.get("used_memory", 0)),
        limit_bytes=max_memory_bytes or int(info.get("total_system_memory", 0)),
        eviction_policy=info.get("maxmemory_policy", "") if max_memory_bytes else "",
        write_error="" if write_status == "ok" else f"aof_last_write_status is {write_status}",
        identity=identity,
    )


def url_without_password(url: str) -> str:
    """Return a redis URL without password and options.

    Raises:
        Invalid: the URL has options other than those of TLS, which could undo what the log relies on.
    """
    parts = urlsplit(url)
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        if not name.startswith("ssl_"):
            raise Invalid(f"log URL: option {name!r} is not known; only those that begin with ssl_ are")
    user_info, _, host = parts.netloc.rpartition("@")
    user = user_info.partition(":")[0]
    return f"{parts.scheme}://{user + '@' if user else ''}{host}{parts.path}"


def _info_fields(reply: Reply) -> dict[str, str]:
    lines = reply.decode(errors="replace").splitlines() if isinstance(reply, bytes) else []
    return {name: value for name, _, value in (line.partition(":") for line in lines)}


def _config_fields(reply: Reply) -> dict[str, str]:
    words = [word.decode() for word in reply if isinstance(word, bytes)] if isinstance(reply, list) else []
    return dict(zip(words[::2], words[1::2], strict=False))
