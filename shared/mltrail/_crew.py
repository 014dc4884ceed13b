"""The threads of a session in one process: the first of them starts the others, and all are stopped together."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from mltrail._losses import Losses
from mltrail._worker import Worker

Step = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Ended:
    """Which threads have ended in time; what a thread still uses must not be closed."""

    packing: bool
    resending: bool
    beating: bool
    all: bool


class Crew:
    """Packs, sends, resends what the dead left, does what takes long, and says that this process is alive."""

    def __init__(
        self, *, pack: Step, send: Step, resend: Step, do: Step, beat: Step, losses: Losses, is_offline: bool
    ) -> None:
        self._packing = Worker("mltrail-pack", pack, losses)
        self._sending = Worker("mltrail-send", send, losses)
        self._resending = Worker("mltrail-resend", resend, losses)
        self._doing = Worker("mltrail-background", do, losses)
        self._beating = Worker("mltrail-heartbeat", beat, losses)
        self._is_offline = is_offline
        self._is_running = self._is_beating = False

    def start(self) -> None:
        """Begin to pack and to send; called once. One thread starts the others."""
        self._packing.start()
        self._is_running = True
        self._packing.start_beside(self._doing)
        if not self._is_offline:
            self._packing.start_beside(self._sending, self._resending)

    def start_beating(self) -> None:
        """Say from now on that this process is alive; nobody hears it when it is offline."""
        if not self._is_beating and not self._is_offline:
            self._is_beating = True
            self.start_worker(self._beating)

    def start_worker(self, worker: Worker) -> None:
        """Start a further thread; where one is running already, that one does it."""
        if self._is_running:
            self._packing.start_beside(worker)
        else:
            worker.start()

    def wake_packing(self) -> None:
        """Let what was said be packed now."""
        self._packing.wake()

    def wake_doing(self) -> None:
        """Let what takes long be begun now."""
        self._doing.wake()

    def stop(self) -> None:
        """Let each thread end after its present step."""
        for worker in self._workers():
            worker.stop()

    def join(self, deadline: float) -> Ended:
        """Wait until the threads have ended, or `deadline` (time.monotonic) is over."""
        ended = {worker: worker.join(max(0.0, deadline - time.monotonic())) for worker in self._workers()}
        return Ended(ended[self._packing], ended[self._resending], ended[self._beating], all(ended.values()))

    def _workers(self) -> tuple[Worker, ...]:
        return (self._packing, self._doing, self._sending, self._resending, self._beating)
