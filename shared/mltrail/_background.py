"""The background thread: uploads artifacts and asks git, so that calls need not wait."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import Literal

from mltrail._losses import Losses, logger
from mltrail._sender import pause_before_retry
from mltrail._stream import Stream
from mltrail_core.errors import Rejected, Unavailable

_IDLE_S = 10.0
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
    turn: int = 0
    """Given out in the order in which tasks came, and again when one has failed."""


_Kind = Literal["of the run", "hopeful", "hopeless", "unasked", "failed unasked"]
"""Of a task, for those who wait: one that ends with its run, one that outlives it and has failed seldom or often, one
that can wait and has not failed or has."""


class _Queue:
    """Tasks that wait together once one of them has failed; finding the next takes as long with many as with few."""

    def __init__(self) -> None:
        self.failures = 0
        """One after the other, if they count for all."""
        self.not_before = 0.0
        self._fresh: deque[Task] = deque()
        self._failed: list[tuple[float, int, Task]] = []

    def put(self, task: Task) -> None:
        """Append a task."""
        if task.failures:
            heappush(self._failed, (task.not_before, task.turn, task))
        else:
            self._fresh.append(task)

    def head(self) -> tuple[float, int]:
        """Return when the next task is due, which is never when there is none, and its turn."""
        if self._fresh:
            return self.not_before, self._fresh[0].turn
        if self._failed:
            due_at, turn, _ = self._failed[0]
            return max(due_at, self.not_before), turn
        return float("inf"), 0

    def take(self) -> Task:
        """Return and remove the task that `head` tells of."""
        return self._fresh.popleft() if self._fresh else heappop(self._failed)[-1]

    def remove(self, stream: Stream) -> list[Task]:
        """Return and remove the tasks of a stream."""
        tasks = [*self._fresh, *(task for *_, task in self._failed)]
        self._fresh.clear()
        self._failed.clear()
        for task in tasks:
            if task.stream is not stream:
                self.put(task)
        return [task for task in tasks if task.stream is stream]


class Background:
    """Tasks in the order they came; one that must wait lets others pass. One thread calls `step`.

    A call that adds one takes no lock and leaves all the rest to that thread, which may be interrupted anywhere.
    """

    def __init__(self, losses: Losses, wake: Callable[[], None]) -> None:
        """Begin with no task; `wake` lets the next `step` begin now."""
        self._losses = losses
        self._wake = wake
        self._begin()

    def _begin(self) -> None:
        self._arrived: deque[Task] = deque()
        """Appended to by any thread; all else belongs to who holds the lock."""
        self._changed = threading.Condition()
        self._turns = count(1)
        self._of_runs = _Queue()
        self._outliving = _Queue()
        """They need the same server, so they wait together."""
        self._left: Counter[tuple[Stream | None, _Kind]] = Counter()
        """How many tasks are left, that under way among them: of a stream, and (None) of all."""
        self._has_warned = False

    def begin_again_in_child(self) -> None:
        """Forget what the parent will do."""
        self._begin()

    def add(self, task: Task) -> None:
        """Append a task and return; waits for nothing."""
        self._arrived.append(task)
        self._wake()

    def wait_done(self, stream: Stream | None, deadline: float) -> bool:
        """Return True once no task of `stream` (None: of any) is left, False at `deadline` (time.monotonic)."""
        return self._wait(lambda: not self._has(stream, "of the run", "hopeful", "hopeless", "unasked"), deadline)

    def wait_for_end(self, stream: Stream, deadline: float) -> bool:
        """As `wait_done`, but not for what goes on after the run's end while that fails again and again."""

        def is_done() -> bool:
            is_hopeless = self._outliving.failures >= _HOPELESS_FAILURES
            return not self._has(stream, "of the run", *(() if is_hopeless else ("hopeful", "unasked")))

        return self._wait(is_done, deadline)

    def give_up(self, stream: Stream) -> None:
        """Drop the tasks that make no sense after the end of `stream`, and count each as a loss."""
        with self._changed:
            self._take_in()
            dropped = self._of_runs.remove(stream)
            for task in dropped:
                self._count(task, -1)
            self._changed.notify_all()
        for task in dropped:
            self._losses.add("tags not known in time", detail=task.what)

    def step(self) -> float:
        """Attempt the first task that is due; return the seconds to pause, unless one is added."""
        with self._changed:
            self._take_in()
            now = time.monotonic()
            heads = [(queue, *queue.head()) for queue in (self._of_runs, self._outliving)]
            due = [(turn, queue) for queue, due_at, turn in heads if due_at <= now]
            if not due:
                return min(_IDLE_S, *(due_at - now for _, due_at, _ in heads))
            _, queue = min(due, key=lambda one: one[0])
            task = queue.take()
        error: Unavailable | None = None
        try:
            error = self._attempt(task)
        finally:
            with self._changed:
                self._count(task, -1)
                if error is not None:
                    self._put_back(task, error)
                self._changed.notify_all()
        return 0.0

    def _attempt(self, task: Task) -> Unavailable | None:
        """Return why the task has to be attempted again, None when it is done with."""
        try:
            task.attempt()
        except Unavailable as error:
            if task.failures == 0:
                log = logger.debug if task.can_wait or self._has_warned else logger.warning
                self._has_warned = self._has_warned or not task.can_wait
                log("mltrail: %s has to wait and is tried again: %s", task.what, error)
            return error
        except (Rejected, OSError) as error:
            self._losses.add("artifacts not stored", detail=f"{task.what}: {error}")
            return None
        if task.outlives_run:
            with self._changed:
                self._outliving.failures, self._outliving.not_before, self._has_warned = 0, 0.0, False
        return None

    def _put_back(self, task: Task, error: Unavailable) -> None:
        now = time.monotonic()
        task.failures += 1
        task.not_before = now + pause_before_retry(error, task.failures)
        if task.outlives_run:
            self._outliving.failures += 1
            self._outliving.not_before = now + pause_before_retry(error, self._outliving.failures)
        self._put(task)

    def _take_in(self) -> None:
        while self._arrived:
            self._put(self._arrived.popleft())

    def _put(self, task: Task) -> None:
        task.turn = next(self._turns)
        (self._outliving if task.outlives_run else self._of_runs).put(task)
        self._count(task, 1)

    def _count(self, task: Task, by: int) -> None:
        """Count a task, or count it no more; what it is counted as changes with its failures, between the two."""
        kind = _kind(task)
        for counted in ((task.stream, kind), (None, kind)):
            self._left[counted] += by
            if not self._left[counted]:
                del self._left[counted]

    def _has(self, stream: Stream | None, *kinds: _Kind) -> bool:
        """Return whether such a task is left; one that nobody asked for is not waited for while others fail."""
        return any((stream, kind) in self._left for kind in kinds if kind != "unasked" or not self._outliving.failures)

    def _wait(self, is_done: Callable[[], bool], deadline: float) -> bool:
        with self._changed:
            self._take_in()
            return self._changed.wait_for(is_done, max(0.0, deadline - time.monotonic()))


def _kind(task: Task) -> _Kind:
    if task.can_wait:
        return "failed unasked" if task.failures else "unasked"
    if not task.outlives_run:
        return "of the run"
    return "hopeless" if task.failures >= _HOPELESS_FAILURES else "hopeful"
