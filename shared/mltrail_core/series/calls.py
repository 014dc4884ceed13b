"""Which blocks call for compaction: some of many, so that runs with enough of them are found without counting."""

from __future__ import annotations

from zlib import crc32

COMPACTION_LOCK = 0x6D6C7472_63
"""PostgreSQL's advisory lock: compactions hold it shared, a digest alone."""
_ONE_BLOCK_IN = 64
_LARGE_POINTS = 16_384
"""A block of so many points always calls."""


def calls_for_compaction(run_id: str, last_index: int, point_count: int) -> bool:
    """Return whether a new block calls for the compaction of its run; for equal arguments always the same.

    One block in 64 does, and one in 16,384 / `point_count`: a run has one for so many blocks or points on average, a
    short run rarely has any. Nobody has to know how many blocks the run has.
    """
    chance = max(_LARGE_POINTS // _ONE_BLOCK_IN, point_count)
    return crc32(f"{run_id} {last_index}".encode()) % _LARGE_POINTS < chance
