"""What the Redis log keeps under which key, and the scripts that write it, each atomic on the server.

    mltrail:identity            the log's identity as JSON, written once
    mltrail:published           hash: words that openers leave for each other
    mltrail:{<partition>}:log   stream: one entry `0-<index>` for each record, fields appended_us and frozen
    mltrail:{<partition>}:head  stream of one entry `0-<last index>`, fields appended_us and largest_bytes

The head repeats what the last record's entry says without its payload (XINFO would send that along), so that asking
for heads, and blocking until one moves, costs a few bytes. Both streams of a partition share a cluster slot.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Final

from mltrail_core.ids import PARTITIONS

IDENTITY_KEY: Final = "mltrail:identity"
PUBLISHED_KEY: Final = "mltrail:published"
LOG_KEYS: Final = {partition: f"mltrail:{{{partition}}}:log" for partition in PARTITIONS}
HEAD_KEYS: Final = {partition: f"mltrail:{{{partition}}}:head" for partition in PARTITIONS}

GAP_ERROR: Final = "MLTRAILGAP"
"""How the reply begins when an imported entry does not follow its partition's head."""

# `#!lua` makes the server check memory before the script begins (redis.io, "Script flags"), never in its middle.
# Times are below 2**53, so Lua's doubles hold them; %.0f because tostring would write 1.7e+15.
_HEAD = """#!lua
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local last_index, last_us, largest = 0, 0, 0
if last then
    last_index, last_us, largest = tonumber(string.sub(last[1], 3)), tonumber(last[2][2]), tonumber(last[2][4])
end
"""
_MOVE_HEAD = """
largest = string.format('%.0f', largest)
redis.call('XADD', KEYS[2], 'MAXLEN', '=', 1, id, 'appended_us', time, 'largest_bytes', largest)
"""

APPEND_SCRIPT: Final = (
    _HEAD
    + """
local clock = redis.call('TIME')
local appended_us = math.max(tonumber(clock[1]) * 1000000 + tonumber(clock[2]), last_us)
local time, id = string.format('%.0f', appended_us), nil
for _, frozen in ipairs(ARGV) do
    id = redis.call('XADD', KEYS[1], '0-*', 'appended_us', time, 'frozen', frozen)
    largest = math.max(largest, string.len(frozen))
end
"""
    + _MOVE_HEAD
    + "return {tonumber(string.sub(id, 3)), appended_us}"
)
"""KEYS: log, head. ARGV: one frozen record or more. Returns [last index, appended_us]; needs the `0-*` ids of Redis 7.

The records of a partition go in by one call: the look at the head, the clock and the new head cost the server more than
a small record does.
"""

IMPORT_SCRIPT: Final = (
    _HEAD
    + f"""
local index, time, frozen = ARGV[1], ARGV[2], ARGV[3]
if tonumber(index) ~= last_index + 1 or tonumber(time) < last_us then
    return redis.error_reply('{GAP_ERROR} the partition stands at ' .. string.format('%.0f', last_index))
end
local id = redis.call('XADD', KEYS[1], '0-' .. index, 'appended_us', time, 'frozen', frozen)
largest = math.max(largest, string.len(frozen))
"""
    + _MOVE_HEAD
    + "return tonumber(index)"
)
"""KEYS: log, head. ARGV: index, appended_us, frozen. Returns the index, or `GAP_ERROR` with, last, the head."""


@cache
def hash_of(script: str) -> str:
    """Return the name by which EVALSHA knows a script."""
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


def calls(script: str, arguments: list[tuple[str | int | bytes, ...]]) -> list[tuple[str | int | bytes, ...]]:
    """Return the commands that run `script` once for each of `arguments` (log key, head key, ARGV…), for one pipeline.

    The first carries the script's text, which makes the server know it, the others name it by its hash: so a server
    that was restarted never answers NOSCRIPT.
    """
    by_hash = ("EVALSHA", hash_of(script), 2)
    return [(*(("EVAL", script, 2) if n == 0 else by_hash), *each) for n, each in enumerate(arguments)]
