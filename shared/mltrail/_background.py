"""The background thread: uploads artifacts and asks git, so that calls need not wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from mltrail._losses import Losses, logger
from mltrail._sender import pause_before_retry
from mltrail._stream import Stream
from mltrail_core.errors import Rejected, Unavailable

_IDLE_S = 0.5
_HOPELESS_FAILURES = 6
"""After so many the end of a run waits no longer for a task that outlives it: some 3 s."""


@dataclass(slots=True, eq=False)
class Task:
    """Something to do for a run: `attempt` is called until it does not raise `Unavailable`."""

    stream: Stream
    what: str
    attempt: Callable[[], None]
    outlives_run: bool = False
    """Whether it goes on after the end of its run."""
    can_wait: bool = False
    """Whether nobody waits for it any more once it has failed: the user did not ask for it."""
    failures: int = 0
    not_before: float = 0.0


class Background:
    """Tasks in the order they came; one that must wait lets others pass. One thread calls `step`."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._begin()

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._tasks: list[Task] = []
        self._current: Task | None = None
        self._failures = 0
        """Of tasks that outlive their run, one after the other: they need the same server, so they wait together."""
        self._not_before = 0.0
        self._has_warned = False
        self._is_stopping = False

    def begin_again_in_child(self) -> None:
        """Forget what the parent will do."""
        self._begin()

    def add(self, task: Task) -> None:
        """Append a task and return."""
        with self._changed:
            self._tasks.append(task)
            self._changed.notify_all()

    def wait_done(self, stream: Stream | None, deadline: float) -> bool:
        """Return True once no task of `stream` (None: of any) is left, False at `deadline` (time.monotonic)."""
        with self._changed:
            timeout_s = max(0.0, deadline - time.monotonic())
            return self._changed.wait_for(lambda: not self._left(stream), timeout_s)

    def wait_for_end(self, stream: Stream, deadline: float) -> bool:
        """As `wait_done`, but not for what goes on after the run's end while that fails again and again."""

        def is_done() -> bool:
            is_hopeless = self._failures >= _HOPELESS_FAILURES
            return all(
                task.outlives_run and (is_hopeless or task.failures >= _HOPELESS_FAILURES)
                for task in self._left(stream)
            )

        with self._changed:
            return self._changed.wait_for(is_done, max(0.0, deadline - time.monotonic()))

    def give_up(self, stream: Stream) -> None:
        """Drop the tasks that make no sense after the end of `stream`, and count each as a loss."""
        with self._changed:
            dropped = [task for task in self._tasks if task.stream is stream and not task.outlives_run]
            self._tasks = [task for task in self._tasks if task not in dropped]
            self._changed.notify_all()
        for task in dropped:
            self._losses.add("tags not known in time", detail=task.what)

    def stop_waiting(self) -> None:
        """Let `step` return at once from now on when nothing is due."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()

    def step(self) -> float:
        """Attempt the first task that is due, or wait for one a little; return the seconds to pause."""
        task = self._next()
        if task is None:
            return 0.0
        is_done = True
        try:
            task.attempt()
        except Unavailable as error:
            is_done = False
            task.failures += 1
            task.not_before = time.monotonic() + pause_before_retry(error, task.failures)
            if task.outlives_run:
                self._failures += 1
                self._not_before = time.monotonic() + pause_before_retry(error, self._failures)
            if task.failures == 1:
                log = logger.debug if task.can_wait or self._has_warned else logger.warning
                self._has_warned = self._has_warned or not task.can_wait
                log("mltrail: %s has to wait and is tried again: %s", task.what, error)
        except (Rejected, OSError) as error:
            self._losses.add("artifacts not stored", detail=f"{task.what}: {error}")
        else:
            if task.outlives_run:
                self._failures, self._not_before, self._has_warned = 0, 0.0, False
        finally:
            with self._changed:
                self._current = None
                if not is_done:
                    self._tasks.append(task)
                self._changed.notify_all()
        return 0.0

    def _left(self, stream: Stream | None) -> list[Task]:
        tasks = self._tasks if self._current is None else [*self._tasks, self._current]
        awaited = (task for task in tasks if not (task.can_wait and (task.failures or self._failures)))
        return [task for task in awaited if stream is None or task.stream is stream]

    def _next(self) -> Task | None:
        with self._changed:
            now = time.monotonic()
            due = next((task for task in self._tasks if self._due_at(task) <= now), None)
            if due is None:
                soonest_s = min((self._due_at(task) - now for task in self._tasks), default=_IDLE_S)
                if not self._is_stopping:
                    self._changed.wait(min(_IDLE_S, soonest_s))
                return None
            self._tasks.remove(due)
            self._current = due
            return due

    def _due_at(self, task: Task) -> float:
        return max(task.not_before, self._not_before) if task.outlives_run else task.not_before
