"""How much a spool may hold, and how much its disk must have left."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

LOW_WATER_DISK_BYTES = 64 << 20
"""Nothing is put on a disk that has less left: SQLite needs room for its WAL, and the training for its checkpoints."""


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

    def refuse_past(self, folder: Path, more_bytes: int) -> None:
        """Do nothing when so much may be added.

        Raises:
            OSError: the disk or the spool is full.
        """
        free_bytes = shutil.disk_usage(folder).free
        if free_bytes - more_bytes < LOW_WATER_DISK_BYTES:
            raise OSError(f"its disk has {free_bytes >> 20} MiB left; free some space, or set MLTRAIL_SPOOL to another")
        held_bytes = self.file_bytes + self._copied_bytes - self._removed_bytes
        if held_bytes + more_bytes > self._max_bytes:
            raise OSError(
                f"it holds {held_bytes >> 20} MiB of the {self._max_bytes >> 20} MiB that max_spool_bytes allows"
            )

    def copied(self, name: str, size_bytes: int) -> None:
        """Count a copy; called by any thread."""
        self._sizes[name] = size_bytes
        with self._copying:
            self._copied_bytes += size_bytes

    def removed(self, name: str) -> None:
        """Count a copy no more; called by the packing thread alone."""
        self._removed_bytes += self._sizes.pop(name, 0)
