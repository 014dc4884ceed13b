"""SQLite and fork: no thread is inside SQLite while the process forks, and no connection is open.

SQLite keeps its locks on a file in the memory of the process. A child forked in the middle of a transaction inherits
the note that the write lock is taken and no thread that will ever give it back, so all its writes fail; one forked
beside an open connection believes it holds a lock that the kernel never gave it, and the parent, closing, removes the
WAL that the child still writes to. See "How To Corrupt An SQLite Database File", 2.6, at sqlite.org.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator

from mltrail_core.errors import Unavailable

LONGEST_WAIT_S = 10.0
"""A fork waits no longer for other threads to leave SQLite: a disk that hangs must not hang the training too."""


class _Gate:
    """Counts the threads inside; a fork lets nobody in and waits until all are out."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._own = threading.local()
        self._forks = 0
        """Those under way: several threads may fork at once, and the last to return opens the gate."""
        self._is_unsafe = False
        self._releases: list[weakref.WeakMethod[Callable[[], None]]] = []
        self._renewals: list[weakref.WeakMethod[Callable[[], None]]] = []

    def register(self, release: Callable[[], None], renew: Callable[[], None]) -> None:
        with self._changed:
            self._releases = [*_alive(self._releases), weakref.WeakMethod(release)]
            self._renewals = [*_alive(self._renewals), weakref.WeakMethod(renew)]

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        depth = getattr(self._own, "depth", 0)
        if depth == 0:
            self._enter()
        self._own.depth = depth + 1
        try:
            yield
        finally:
            self._own.depth = depth
            if depth == 0:
                self._leave()

    def before_fork(self) -> None:
        deadline = time.monotonic() + LONGEST_WAIT_S
        with self._changed:
            self._forks += 1
            if getattr(self._own, "depth", 0) == 0:
                self._changed.wait_for(lambda: self._inside == 0, deadline - time.monotonic())
            is_free = self._inside == 0
        if is_free:
            for release in _alive(self._releases):
                if (method := release()) is not None:
                    method()

    def after_in_parent(self) -> None:
        with self._changed:
            self._forks -= 1
            self._changed.notify_all()

    def after_in_child(self) -> None:
        self._is_unsafe = self._is_unsafe or self._inside > 0
        self._changed = threading.Condition()
        self._inside = 1 if getattr(self._own, "depth", 0) else 0
        self._forks = 0
        for renew in _alive(self._renewals):
            if (method := renew()) is not None:
                method()

    def _enter(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._forks == 0)
            if self._is_unsafe:
                raise Unavailable(
                    f"process {os.getpid()} was forked while its parent had been inside SQLite for "
                    f"{LONGEST_WAIT_S:g} s, and can't use SQLite; is the disk hanging? Start workers by spawn instead"
                )
            self._inside += 1

    def _leave(self) -> None:
        with self._changed:
            self._inside -= 1
            if self._forks:
                self._changed.notify_all()


def _alive(methods: list[weakref.WeakMethod[Callable[[], None]]]) -> list[weakref.WeakMethod[Callable[[], None]]]:
    return [method for method in methods if method() is not None]


_gate = _Gate()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_gate.before_fork, after_in_parent=_gate.after_in_parent, after_in_child=_gate.after_in_child
    )


def inside_sqlite() -> contextlib.AbstractContextManager[None]:
    """Hold off forks of this process inside the block, which must be short; may be nested.

    Raises:
        Unavailable: this process was forked in the middle of such a block, so SQLite's state in it is broken.
    """
    return _gate.inside()


def close_at_fork(release: Callable[[], None], renew: Callable[[], None]) -> None:
    """Register two bound methods of an object that has connections, for as long as it lives.

    Args:
        release: called before each fork, with no thread inside SQLite: close all connections.
        renew: called in each forked child: make locks anew, and close what descriptors the parent's threads had open.
    """
    _gate.register(release, renew)
