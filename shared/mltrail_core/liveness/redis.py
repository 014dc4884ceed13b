"""Marks beside a log in Redis: a sorted set of subjects by the server's time, which expires when nobody is left.

mltrail:liveness           sorted set: subject → when it was last seen, µs UTC
mltrail:liveness:duties    hash: `<duty>:since` and `<duty>:until`, µs UTC
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mltrail_core.errors import Invalid, Unavailable
from mltrail_core.liveness.port import KEEP_S, Attendance
from mltrail_core.log.redis_server import url_without_password
from mltrail_core.rules import id_fault

_SEEN: Final = "mltrail:liveness"
_DUTIES: Final = "mltrail:liveness:duties"
_TIMEOUT_S = 5.0
_Reply = bytes | int | float | None
_SUBJECTS_OF_A_CALL = 5000
"""Lua's `unpack`, and so a script's arguments, end at some thousands."""

# µs stay below 2**53, so Lua's doubles and the scores of a sorted set hold them; %.0f because tostring would round.
_NOW = "local clock = redis.call('TIME')\nlocal now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])\n"
_MARK: Final = (
    _NOW
    + """
for _, subject in ipairs(ARGV) do redis.call('ZADD', KEYS[1], string.format('%.0f', now), subject) end
"""
    + f"redis.call('EXPIRE', KEYS[1], {2 * KEEP_S:.0f})\n"
)
_ATTEND: Final = (
    _NOW
    + """
local times = redis.call('HMGET', KEYS[1], ARGV[1] .. ':since', ARGV[1] .. ':until')
local since, last = tonumber(times[1] or 0), tonumber(times[2] or 0)
if now < last or now - last > tonumber(ARGV[2]) then since = now end
local shown_since, shown_now = string.format('%.0f', since), string.format('%.0f', now)
redis.call('HSET', KEYS[1], ARGV[1] .. ':since', shown_since, ARGV[1] .. ':until', shown_now)
"""
    + f"redis.call('EXPIRE', KEYS[1], {2 * KEEP_S:.0f})\nreturn {{since, now}}\n"
)
_FORGET: Final = _NOW + (
    "return redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', now - tonumber(ARGV[1])))"
)


class RedisLiveness:
    """`Liveness` in the Redis of the log. One object may be used by many threads, and survives a fork."""

    def __init__(self, url: str) -> None:
        self._url = url_without_password(url)
        try:
            self._client = redis.Redis.from_url(
                url,
                protocol=2,
                socket_timeout=_TIMEOUT_S,
                socket_connect_timeout=_TIMEOUT_S,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError as error:
            raise Invalid(f"log URL {self._url!r}: {error}; expected redis://user:password@host:port/db") from error

    def mark(self, subjects: Sequence[str]) -> None:
        for subject in subjects:
            fault = id_fault(subject)
            if fault is not None:
                raise Invalid(fault)
        with self._reaching():
            for first in range(0, len(subjects), _SUBJECTS_OF_A_CALL):
                self._call(_MARK, _SEEN, *subjects[first : first + _SUBJECTS_OF_A_CALL])

    def last_seen(self, subjects: Sequence[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        with self._reaching():
            for first in range(0, len(subjects), _SUBJECTS_OF_A_CALL):
                some = subjects[first : first + _SUBJECTS_OF_A_CALL]
                scores = self._ask("ZMSCORE", _SEEN, *some)
                found |= {
                    subject: int(float(score)) for subject, score in zip(some, scores, strict=True) if score is not None
                }
        return found

    def now_us(self) -> int:
        with self._reaching():
            seconds, microseconds = self._ask("TIME")
        return int(seconds or 0) * 1_000_000 + int(microseconds or 0)

    def attend(self, duty: str, *, patience_s: float) -> Attendance:
        fault = id_fault(duty)
        if fault is not None:
            raise Invalid(fault)
        with self._reaching():
            since_us, now_us = self._call(_ATTEND, _DUTIES, duty, f"{patience_s * 1e6:.0f}")
        return Attendance(since_us, now_us)

    def attended(self, duty: str) -> Attendance | None:
        with self._reaching():
            since, until = self._ask("HMGET", _DUTIES, f"{duty}:since", f"{duty}:until")
        if since is None or until is None or int(until) < self.now_us() - KEEP_S * 1e6:
            return None
        return Attendance(int(since), int(until))

    def forget(self, *, older_than_s: float = KEEP_S) -> int:
        with self._reaching():
            [forgotten] = self._call(_FORGET, _SEEN, f"{older_than_s * 1e6:.0f}")
        return forgotten

    def close(self) -> None:
        self._client.close()

    def _call(self, script: str, key: str, *arguments: str) -> list[int]:
        """Run a script by its hash, and by its text when the server does not know it yet."""
        by_hash = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        try:
            reply = self._ask("EVALSHA", by_hash, 1, key, *arguments)
        except redis.exceptions.NoScriptError:
            reply = self._ask("EVAL", script, 1, key, *arguments)
        return [int(number or 0) for number in reply]

    def _ask(self, *command: str | int) -> list[_Reply]:
        """Return the reply, a single one as a list of one."""
        reply: list[_Reply] | tuple[_Reply, ...] | _Reply = self._client.execute_command(*command)  # type: ignore[no-untyped-call]
        return list(reply) if isinstance(reply, list | tuple) else [reply]

    @contextlib.contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            raise Unavailable(f"the marks in {self._url} can't be used: {error}") from error
