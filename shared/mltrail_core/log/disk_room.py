"""Whether the disk of a log that lies in a folder has room for an append, which is asked before it begins."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from mltrail_core.errors import LogFull, Unavailable

LOW_WATER_DISK_BYTES = 64 << 20
"""Appends are refused when the disk has less than this left: SQLite needs room for its WAL and its checkpoint."""
_PLENTY_BYTES = 1 << 30
_LOOK_S = 0.1
"""How long a disk with so much more than the mark need not be looked at: nobody fills that much in that time."""


class DiskRoom:
    """The room of one folder's disk, remembered for a moment when it is plenty."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._free_bytes, self._looked = 0, 0.0

    def refuse_when_low(self) -> None:
        """Do nothing when an append may begin.

        Raises:
            LogFull: the disk is below its mark.
            Unavailable: the folder is not there.
        """
        is_plenty = self._free_bytes > LOW_WATER_DISK_BYTES + _PLENTY_BYTES
        if is_plenty and time.monotonic() < self._looked + _LOOK_S:
            return
        try:
            free_bytes = shutil.disk_usage(self._folder).free
        except OSError as error:
            raise Unavailable(f"the log's folder {self._folder} can't be used: {error}") from error
        if free_bytes < LOW_WATER_DISK_BYTES:
            raise LogFull(
                f"the disk of {self._folder} has {free_bytes >> 20} MiB left and an append needs "
                f"{LOW_WATER_DISK_BYTES >> 20}; free some space",
                retry_after_s=30.0,
            )
        self._free_bytes, self._looked = free_bytes, time.monotonic()
