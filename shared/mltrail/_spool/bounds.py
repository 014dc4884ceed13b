"""How much a spool may hold, and how much its disk must have left."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

LOW_WATER_DISK_BYTES = 64 << 20
"""Nothing is put on a disk that has less left: SQLite needs room for its WAL, and the training for its checkpoints."""
_PLENTY_BYTES = 1 << 30
_KNOWN_S = 1.0
"""So long what the disk has left is taken to be as it was, if that was plenty."""


class Bounds:
    """Counts what a spool holds. Calls that copy an artifact count it in, the packing thread counts out and counts the
    rows; neither waits for the other, however many artifacts there are."""

    def __init__(self, max_bytes: int) -> None:
        self.file_bytes = 0
        """Of the rows, as of the last write."""
        self._max_bytes = max_bytes
        self._copying = threading.RLock()  # held by calls alone, a signal's handler among them, to add a number
        self._copied_bytes = 0
        """Of all copies ever made; what of them is gone is counted beside."""
        self._removed_bytes = 0
        self._sizes: dict[str, int] = {}
        self._free_bytes = 0
        self._asked_at = float("-inf")

    def refuse_past(self, folder: Path, more_bytes: int) -> None:
        """Do nothing when so much may be added.

        Raises:
            OSError: the disk or the spool is full.
        """
        free_bytes = self._free_of(folder, more_bytes)
        if free_bytes - more_bytes < LOW_WATER_DISK_BYTES:
            raise OSError(f"its disk has {free_bytes >> 20} MiB left; free some space, or set MLTRAIL_SPOOL to another")
        held_bytes = self.file_bytes + self._copied_bytes - self._removed_bytes
        if held_bytes + more_bytes > self._max_bytes:
            raise OSError(
                f"it holds {held_bytes >> 20} MiB of the {self._max_bytes >> 20} MiB that max_spool_bytes allows"
            )

    def _free_of(self, folder: Path, more_bytes: int) -> int:
        # Not asked each time while there is plenty: a call may have to wait for the interpreter after it.
        now, left_bytes = time.monotonic(), self._free_bytes - more_bytes
        if now - self._asked_at < _KNOWN_S and left_bytes > LOW_WATER_DISK_BYTES + _PLENTY_BYTES:
            self._free_bytes = left_bytes
            return left_bytes + more_bytes
        self._free_bytes, self._asked_at = shutil.disk_usage(folder).free, now
        return self._free_bytes

    def copied(self, name: str, size_bytes: int) -> None:
        """Count a copy; called by any thread."""
        self._sizes[name] = size_bytes
        with self._copying:
            self._copied_bytes += size_bytes

    def removed(self, name: str) -> None:
        """Count a copy no more; called by the packing thread alone."""
        self._removed_bytes += self._sizes.pop(name, 0)
