"""A thread of the SDK: it never raises into the training and never holds up the end of the process."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from mltrail._losses import Losses, logger

_PAUSE_AFTER_FAULT_S = 1.0


class Worker:
    """Calls `step` again and again in a daemon thread; `step` returns how many seconds to pause, unless woken."""

    def __init__(self, name: str, step: Callable[[], float], losses: Losses) -> None:
        self._name = name
        self._step = step
        self._losses = losses
        self._wakeup = threading.Event()
        self._is_stopping = False
        self._thread: threading.Thread | None = None
        self._to_start: deque[Worker] = deque()

    def start(self) -> None:
        """Begin; called once. It waits until the thread runs, which takes long where others are busy."""
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def start_beside(self, *workers: Worker) -> None:
        """Let this one's thread start the workers, so that nobody else waits for their beginning."""
        self._to_start.extend(workers)
        self._wakeup.set()

    def wake(self) -> None:
        """Let the next step begin now, or right after the one that is going on."""
        self._wakeup.set()

    def stop(self) -> None:
        """Let the thread end after its present step."""
        self._is_stopping = True
        self._wakeup.set()

    def join(self, timeout_s: float) -> bool:
        """Return whether the thread has ended within `timeout_s`; it is a daemon, so nobody depends on it."""
        if self._thread is None or self._thread is threading.current_thread():
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

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
            if pause_s > 0:
                self._wakeup.wait(pause_s)
            self._wakeup.clear()
