"""A thread of the SDK: it never raises into the training and never holds up the end of the process."""

from __future__ import annotations

import _thread
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable

from mltrail._losses import Losses, logger

_PAUSE_AFTER_FAULT_S = 1.0
_TURN_S = 0.0001
"""Enough for a thread to wake up."""


def let_others_run() -> None:
    """Give the interpreter to a thread that waits for it; to be called after a part of a longer work in Python.

    A thread that does not want to give it up makes the others wait for 5 ms (`sys.getswitchinterval`), and one that
    gives it up for a moment only, as by `sleep(0)`, has it back before they have woken up.
    """
    time.sleep(_TURN_S)


class Worker:
    """Calls `step` again and again in a daemon thread; `step` returns how many seconds to pause, unless woken."""

    def __init__(self, name: str, step: Callable[[], float], losses: Losses) -> None:
        self._name = name
        self._step = step
        self._losses = losses
        self._asleep = threading.Lock()
        """Free once somebody has woken this thread, which takes it again as it wakes. An Event has a lock of its own,
        for which a call would wait when the thread is interrupted with it in hand."""
        self._asleep.acquire()
        self._is_stopping = False
        self._is_started = False
        self._has_begun = threading.Event()
        self._thread: threading.Thread | None = None
        self._to_start: deque[Worker] = deque()

    def start(self) -> None:
        """Begin; called once."""
        # `Thread.start` returns once the thread runs, 20 ms later where others are busy. So that is left to a bare
        # thread, for which nobody waits.
        self._is_started = True
        _thread.start_new_thread(self._begin, ())

    def start_beside(self, *workers: Worker) -> None:
        """Let this one's thread start the workers: each costs a tenth of a millisecond."""
        self._to_start.extend(workers)
        self.wake()

    def wake(self) -> None:
        """Let the next step begin now, or right after the one that is going on. It waits for nothing, and may be called
        from a signal's handler."""
        if self._asleep.locked():
            with contextlib.suppress(RuntimeError):  # another has done so since
                self._asleep.release()

    def stop(self) -> None:
        """Let the thread end after its present step."""
        self._is_stopping = True
        self.wake()

    def join(self, timeout_s: float) -> bool:
        """Return whether the thread has ended within `timeout_s`; it is a daemon, so nobody depends on it."""
        if not self._is_started:
            return True
        deadline = time.monotonic() + timeout_s
        if not self._has_begun.wait(timeout_s) or self._thread is None:
            return False
        if self._thread is not threading.current_thread():
            self._thread.join(max(0.0, deadline - time.monotonic()))
            return not self._thread.is_alive()
        return True

    def _begin(self) -> None:
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()
        self._has_begun.set()

    def _run(self) -> None:
        while not self._is_stopping:
            try:
                while self._to_start:
                    self._to_start.popleft().start()
                pause_s = self._step()
            except Exception as error:  # noqa: BLE001 a bug of ours must not end the sending, nor the training
                logger.exception("mltrail: %s failed; it goes on", self._name)
                self._losses.add(f"faults in {self._name}", detail=repr(error))
                pause_s = _PAUSE_AFTER_FAULT_S
            self._asleep.acquire(timeout=max(0.0, pause_s))  # also with no pause: what woke it is done with
