"""What is recorded while runs go on: system metrics, and the console. One thread of this process looks after all."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mltrail._console import Console, ConsoleLog
from mltrail._description import keep_text
from mltrail._system_metrics import ALWAYS_KNOWN, PREFIX, SystemMetrics
from mltrail._worker import Worker
from mltrail_core.errors import MltrailError, Unavailable

if TYPE_CHECKING:
    from mltrail._recording import Recording
    from mltrail._run import Run
    from mltrail._session import Session
    from mltrail._stream import Stream

CONSOLE_PATH = "mltrail/console.log"
_FIRST_CONSOLE_S = 10.0
_LONGEST_CONSOLE_PAUSE_S = 1800.0
_CONSOLE_GROWTH = 1.25
"""The console is stored again when it has grown by a quarter, or after half an hour: each storing is of the whole text,
so all of them together are at most five times the last."""
_IDLE_S = 60.0
_ASKED_TIMES = 6
"""So often a server is asked where the steps of a resumed run go on; until then nothing is sampled."""


@dataclass(slots=True, eq=False)
class _Watched:
    run: Run
    session: Session
    stream: Stream
    prefix: str = PREFIX
    interval_s: float = 0.0
    """Of system metrics; 0 for none."""
    metrics: SystemMetrics | None = None
    """Made by the thread: it reads files, for which no call should wait."""
    step: int | None = 0
    """Of the next sample; None while that is to be found out, of a run that is resumed."""
    asked: int = 0
    sample_due: float = float("inf")
    log: ConsoleLog | None = None
    log_path: str = CONSOLE_PATH
    stored_characters: int = 0
    stored_at: float = 0.0


class Watch:
    """The runs that are watched. Safe to use from many threads; the thread starts with the first run that needs it."""

    def __init__(self) -> None:
        self._console = Console()
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._watched: list[_Watched] = []
        self._worker: Worker | None = None

    def begin_again_in_child(self) -> None:
        """Watch nothing in a forked process: its parent goes on, on the same machine and terminal."""
        self._console.begin_again_in_child()
        self._begin()

    def attach(
        self, run: Run, session: Session, stream: Stream, recording: Recording, *, is_own: bool, is_resumed: bool
    ) -> None:
        """Watch a run from now on, as far as `recording` says so.

        `is_own`: the run began here. A run that was joined gets the metrics of a further node only where a launcher
        says which process is the first there, and its console under a name that no other process has. One that is
        resumed gets the metrics in any case, at the steps that follow.
        """
        watched, now = _Watched(run, session, stream, stored_at=time.monotonic()), time.monotonic()
        writer = session.writer
        if (
            recording.system_metrics_interval_s
            and recording.is_first_on_node
            and (is_own or is_resumed or recording.is_launched)
        ):
            node = recording.node_id or (writer.host if recording.is_launched else None)
            watched.prefix = PREFIX if node is None else f"{PREFIX}{_in_key(node)}/"
            watched.interval_s = recording.system_metrics_interval_s
            watched.sample_due = now + watched.interval_s
            watched.step = None if is_resumed else 0
        if recording.console:
            watched.log = ConsoleLog()
            if not is_own:
                watched.log_path = f"mltrail/console-{_in_key(writer.host)}-{writer.process_id}.log"
            self._console.attach(watched.log)
        if not watched.interval_s and watched.log is None:
            return
        with self._lock:
            self._watched.append(watched)
            if self._worker is None:
                self._worker = Worker("mltrail-watch", self._step, session.losses)
                session.start_worker(self._worker)
            self._worker.wake()

    def detach(self, run: Run) -> None:
        """Watch a run no more, and store what is left of its console; to be called before its end is sent."""
        with self._lock:
            found = [watched for watched in self._watched if watched.run is run]
            self._watched = [watched for watched in self._watched if watched.run is not run]
        for watched in found:
            if watched.log is not None:
                self._console.detach(watched.log)
                self._store(watched, watched.log)

    def detach_all(self, session: Session) -> None:
        """Watch no run of the session any more, as `detach`."""
        with self._lock:
            runs = [watched.run for watched in self._watched if watched.session is session]
        for run in runs:
            self.detach(run)

    def _step(self) -> float:
        for watched in list(self._watched):
            if watched.step is None and watched.sample_due <= time.monotonic():
                watched.step = _step_after_others(watched)  # without the lock: it may wait for a server
        with self._lock:
            for watched in self._watched:
                now = time.monotonic()
                if watched.interval_s and watched.metrics is None:
                    watched.metrics = SystemMetrics()
                if watched.metrics is not None and watched.sample_due <= now:
                    watched.sample_due = now + watched.interval_s
                    self._sample(watched, watched.metrics)
                if watched.log is not None and _console_due(watched, watched.log) <= now:
                    self._store(watched, watched.log)
            due = [watched.sample_due for watched in self._watched]
            due += [_console_due(watched, watched.log) for watched in self._watched if watched.log is not None]
        return min(_IDLE_S, max(0.05, min(due, default=float("inf")) - time.monotonic()))

    def _sample(self, watched: _Watched, metrics: SystemMetrics) -> None:
        found = metrics.sample()
        if watched.step is None:
            return
        watched.run.log_metrics({watched.prefix + name: value for name, value in found.items()}, watched.step)
        watched.step += 1

    def _store(self, watched: _Watched, log: ConsoleLog) -> None:
        characters = log.character_count
        watched.stored_at = time.monotonic()
        if characters == watched.stored_characters:
            return
        watched.stored_characters = characters
        try:
            keep_text(watched.session, watched.stream, watched.log_path, log.text().encode(errors="replace"))
        except OSError as error:
            watched.session.losses.add("consoles that could not be copied", detail=f"run {watched.run.id}: {error}")


watch = Watch()
"""Of this process: it has one terminal and one machine."""


def _step_after_others(watched: _Watched) -> int | None:
    """Return the step after the last that a run has from before, so that its charts go on; None to ask again later, 0
    when nobody can be asked."""
    if watched.session.settings.is_offline:
        return 0
    from mltrail._reader import open_reader

    watched.asked += 1
    try:
        known = open_reader(watched.session.settings.destination).metric_history(
            watched.run.id, watched.prefix + ALWAYS_KNOWN
        )
    except Unavailable:
        return None if watched.asked < _ASKED_TIMES else 0
    except MltrailError:
        return 0
    return max((point.step for point in known), default=-1) + 1


def _console_due(watched: _Watched, log: ConsoleLog) -> float:
    grown = log.character_count >= _CONSOLE_GROWTH * watched.stored_characters
    return watched.stored_at + (_FIRST_CONSOLE_S if grown else _LONGEST_CONSOLE_PAUSE_S)


def _in_key(name: str) -> str:
    """Return a name of a node as the key of a metric may hold it."""
    return "".join(letter if letter.isalnum() or letter in "_-." else "-" for letter in name).strip(".") or "node"
