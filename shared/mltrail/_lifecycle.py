"""The ends of a process: normal exit, exception, SIGTERM, fork; each ends runs with the status that is true."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mltrail._session import Session

_sessions: list[Session] = []
_renewals: list[Callable[[], None]] = []
_is_installed = False
_was_terminated = False
_is_ending = False
"""While the end of the process sends what is left, which takes a bounded time."""


def watch(session: Session) -> None:
    """Close the session at the end of the process, and begin it again in forked children."""
    global _is_installed
    _sessions.append(session)
    if not _is_installed:
        _is_installed = True
        atexit.register(_at_exit)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_in_child)


def unwatch(session: Session) -> None:
    """Forget a session that was closed."""
    with contextlib.suppress(ValueError):
        _sessions.remove(session)


def watch_child(session: Session) -> None:
    """In a child of multiprocessing, which may skip atexit: close the session when the child's target has returned."""
    process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, session.close, args=(session.settings.exit_timeout_s,), exitpriority=100)


def renew_in_child(renew: Callable[[], None]) -> None:
    """Call `renew` in every forked process from now on, once however often it is given."""
    if renew not in _renewals:
        _renewals.append(renew)


def catch_sigterm() -> None:
    """Let SIGTERM unwind the stack, so that every `with` ends its run; a handler of the program's own is left alone."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)


def status_after(error: BaseException) -> str:
    """Return the status of a run whose `with` was left by `error`."""
    asyncio = sys.modules.get("asyncio")
    is_cancelled = asyncio is not None and isinstance(error, asyncio.CancelledError)
    if isinstance(error, KeyboardInterrupt) or is_cancelled or _was_terminated:
        return "KILLED"
    if isinstance(error, SystemExit) and error.code in (None, 0):
        return "FINISHED"
    return "FAILED"


def status_at_exit() -> str | None:
    """Return the status that the end of this process gives its runs; None is its normal end."""
    if _was_terminated:
        return "KILLED"
    # The interpreter leaves what ended the program here; an interactive one also errors that it survived.
    error = None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)
    return None if error is None else status_after(error)


def _at_exit() -> None:
    global _is_ending
    status = status_at_exit()
    deadline = time.monotonic() + max((session.settings.exit_timeout_s for session in _sessions), default=0.0)
    _is_ending = True
    try:
        for session in list(_sessions):
            session.close(min(session.settings.exit_timeout_s, max(0.0, deadline - time.monotonic())), status)
    finally:
        _is_ending = False
    _sessions.clear()


def _in_child() -> None:
    for renew in _renewals:
        renew()
    for session in _sessions:
        session.begin_again_in_child()


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    global _was_terminated
    if _is_ending:
        return  # launchers repeat it: an exception here would leave the last words unsaid
    if not any(session.is_running for session in _sessions):
        # A forked child that logs nothing, such as a pool's worker, ends as if mltrail were not there. Decided here and
        # not at the fork: had the child put the default back, a signal that came just before would be lost.
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return
    _was_terminated = True
    raise SystemExit(128 + number)
