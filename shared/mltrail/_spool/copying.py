"""Copies of files that cost as little as the file system allows, and do not change with the original."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
from pathlib import Path

_FICLONE = 0x40049409
"""Linux's ioctl for a reflink: both files share their blocks until one of them is written to."""
_SEND_BYTES = 1 << 30
_READ_BYTES = 1 << 20


def copy_file(source: Path, target: Path) -> None:
    """Copy the bytes of `source`: as a reflink where the file system has them, else one by one. What is there of
    `target` is empty.

    Never a hard link: that would change with the file when a training appends to it or overwrites it in place.

    Raises:
        OSError: the file can't be read, or the disk is full.
    """
    if not sys.platform.startswith("linux"):
        shutil.copyfile(source, target)
        return
    # Few calls of the system: after each the calling thread may wait for the interpreter, 5 ms at a time.
    # An empty file is not truncated, which would wait for the file system's journal as making a file does.
    with contextlib.ExitStack() as stack:
        reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, reading)
        writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        stack.callback(os.close, writing)
        if not _is_cloned(reading, writing):
            _send(reading, writing)


def _is_cloned(reading: int, writing: int) -> bool:
    import fcntl

    try:
        fcntl.ioctl(writing, _FICLONE, reading)
    except OSError:  # another file system, or one without reflinks
        return False
    # Of files that the kernel makes up as they are read, a clone is empty.
    return os.fstat(writing).st_size > 0


def _send(reading: int, writing: int) -> None:
    """Copy all that there is now; bytes that are appended meanwhile may or may not be among it."""
    try:
        while os.sendfile(writing, reading, None, _SEND_BYTES):
            pass
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP) or os.fstat(writing).st_size:
            raise
        # Files of some file systems, /proc among them, can only be read.
        while part := os.read(reading, _READ_BYTES):
            while part:
                part = part[os.write(writing, part) :]
