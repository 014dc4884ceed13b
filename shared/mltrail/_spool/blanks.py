"""Empty files of a spool, made before a call needs one: making a file may wait for the file system's journal."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections import deque

from mltrail._spool.folder import SpoolFolder

READY_FILES = 8
"""As many artifacts may be logged within the packing thread's interval before a call makes a file itself."""


class Blanks:
    """Names of files that copies are written into. On ext4 a file is made in 0.05 ms, but in 2 ms where free inodes are
    scarce, and in 18 ms while the journal is busy; opening one that is there takes neither."""

    def __init__(self) -> None:
        self._names: deque[str] = deque()

    def take(self) -> str:
        """Return the name of an empty file, or one that no file has yet; may be called by any thread."""
        try:
            return self._names.popleft()
        except IndexError:
            return uuid.uuid4().hex

    def refill(self, folder: SpoolFolder) -> None:
        """Make as many files as are missing; called by one thread alone."""
        with contextlib.suppress(OSError):  # whoever logs an artifact will be told
            while len(self._names) < READY_FILES:
                name = uuid.uuid4().hex
                os.close(os.open(folder.file(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
                self._names.append(name)

    def remove(self, folder: SpoolFolder) -> None:
        """Remove the files that were not needed."""
        while self._names:
            with contextlib.suppress(OSError):  # an empty file does no harm; it goes with the folder
                folder.file(self._names.popleft()).unlink(missing_ok=True)
