"""Where the writers of the SQLite log queue: a lock on a file beside it.

The kernel wakes those who wait for a flock in order, where SQLite's busy handler polls: without it, 16 busy writers
starved one to a commit in 5 s. Correctness does not rest on it, SQLite's own lock does that.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from mltrail_core.errors import Unavailable
from mltrail_core.forking import inside_sqlite


class WritersQueue:
    """The queue as one object of a process sees it; may be used by many threads, and survives a fork."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._local = threading.local()
        self._opened: dict[int, threading.Thread] = {}
        """The descriptors of the lock's file, and the thread that uses each."""
        self._busy: set[int] = set()
        """Those whose threads wait or have their turn."""
        self._is_closed = False
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until those who came before have written, then keep all others waiting inside the block.

        Raises:
            Unavailable: the lock's file can't be opened or locked.
        """
        with self._using_descriptor() as descriptor:
            self._take(descriptor, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def turn_now(self) -> Iterator[bool]:
        """Give True and keep all others waiting inside the block, or give False when somebody else has his turn.

        Raises:
            Unavailable: the lock's file can't be opened or locked.
        """
        with self._using_descriptor() as descriptor:
            yield self._take(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def close(self) -> None:
        """Close the file: at once, or at the end of a turn under way."""
        with self._lock:
            self._is_closed = True
            for descriptor in set(self._opened) - self._busy:
                self._forget(descriptor)

    def begin_again_in_child(self) -> None:
        """Leave what a fork has copied to the parent; called in the child, whose only thread this is."""
        self._lock, self._local, self._busy = threading.Lock(), threading.local(), set()
        for descriptor in set(self._opened):
            self._forget(descriptor)  # else the flock of a parent that is killed would live on here

    @contextlib.contextmanager
    def _using_descriptor(self) -> Iterator[int]:
        """Give this thread's descriptor, and let the lock go at the end."""
        descriptor = self._descriptor()
        try:
            yield descriptor
        finally:
            # Explicitly, not by closing: that would leave the lock with a child that was forked meanwhile.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            with self._lock:
                self._busy.discard(descriptor)
                if self._is_closed:
                    self._forget(descriptor)

    def _take(self, descriptor: int, operation: int) -> bool:
        """Lock, and return whether somebody else did not have the lock."""
        try:
            fcntl.flock(descriptor, operation)
        except BlockingIOError:
            return False
        except OSError as error:
            raise Unavailable(f"the log's folder {self._folder} can't be locked: {error}") from error
        return True

    def _forget(self, descriptor: int) -> None:
        del self._opened[descriptor]
        os.close(descriptor)

    def _descriptor(self) -> int:
        """Return this thread's own descriptor, noted as busy: threads that shared one would not exclude each other."""
        found: int | None = getattr(self._local, "descriptor", None)
        with self._lock:
            if found in self._opened:
                self._busy.add(found)
                return found
        try:
            with inside_sqlite(), self._lock:  # no fork between opening and noting, so a child knows of each
                opened = os.open(self._folder / "log.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
                for descriptor in [each for each, thread in self._opened.items() if not thread.is_alive()]:
                    self._forget(descriptor)
                self._opened[opened] = threading.current_thread()
                self._busy.add(opened)
        except OSError as error:
            raise Unavailable(f"the log's folder {self._folder} can't be written: {error}") from error
        self._local.descriptor = opened
        return opened
