"""How long calls of a thread take, and how much of that was their own doing and how much the machine's."""

from __future__ import annotations

import gc
import os
import resource
import threading
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

_Returned = TypeVar("_Returned")

LIMIT_MS = 5.0
"""No call of a training should take longer."""


@dataclass(frozen=True, slots=True)
class CallTimes:
    """How long the calls of one kind took."""

    kind: str
    count: int
    p50_us: float
    p99_us: float
    p999_us: float
    longest_ms: float
    over_limit: int
    waited: int
    """How many of them gave the CPU back, to wait for something."""
    longest_own_ms: float
    """The longest, counting its CPU time and, if it waited, what it waited; not what the machine took for others while
    its thread was ready to run, nor what follows last. Of it the two parts that follow."""
    its_cpu_ms: float
    its_waiting_ms: float
    over_limit_own: int
    longest_collection_ms: float
    """What the interpreter took at most in one call to look for garbage, or in another thread meanwhile: it walks all
    objects of the process, whoever made them, in whichever thread happens to make one too many."""


@dataclass(frozen=True, slots=True)
class LongCall:
    """A call that took longer than the limit: its CPU time, what it waited by itself, what the machine did not let it,
    and what the interpreter collected of garbage in it."""

    kind: str
    took_ms: float
    cpu_ms: float
    waiting_ms: float
    not_let_ms: float
    collecting_ms: float

    @property
    def own_ms(self) -> float:
        """What it took by itself."""
        return self.cpu_ms + self.waiting_ms

    def __str__(self) -> str:
        return (
            f"{self.kind}: {self.took_ms:.2f} ms, {self.own_ms:.2f} by itself: {self.cpu_ms:.2f} of CPU "
            f"+ {self.waiting_ms:.2f} of waiting; not let {self.not_let_ms:.2f}, collecting garbage "
            f"{self.collecting_ms:.2f}"
        )


_NUMBERS = 5


@dataclass(frozen=True, slots=True)
class _Spent:
    """What one call took, in seconds."""

    wall: float
    cpu: float
    not_let: float
    """Ready to run, while the machine ran others."""
    has_waited: bool
    collecting: float
    """In the interpreter's garbage collector."""

    @property
    def own(self) -> float:
        # Who never gave the CPU back has waited for nothing: the rest the machine took, seen by schedstat or not.
        spent = max(self.cpu, self.wall - self.not_let) if self.has_waited else self.cpu
        return max(0.0, spent - self.collecting)


class Clock:
    """How long calls of this thread take, by their kind."""

    def __init__(self) -> None:
        self._spent: dict[str, array[float]] = {}
        """The numbers of each `_Spent`, one after the other: objects would be the garbage collector's to walk."""
        self._schedstat = _opened_schedstat()
        self._collections = _Collections()
        self.own_cpu_s = 0.0
        """What the timing itself has cost."""

    def time(self, kind: str, call: Callable[[], _Returned]) -> _Returned:
        """Call, and return what it returns."""
        begun_cpu = time.thread_time()
        not_let, switches, cpu = self._not_let_s(), _voluntary_switches(), time.thread_time()
        collected = self._collections.spent_s
        begun = self._collections.call_begun = time.perf_counter()
        returned = call()
        wall = time.perf_counter() - begun
        collecting = self._collections.spent_s - collected
        cpu = time.thread_time() - cpu
        has_waited = _voluntary_switches() > switches
        self._spent.setdefault(kind, array("d")).extend(
            (wall, cpu, self._not_let_s() - not_let, has_waited, collecting)
        )
        self.own_cpu_s += time.thread_time() - begun_cpu - cpu
        return returned

    def calls(self) -> list[CallTimes]:
        """Return what each kind of call took."""
        found = []
        for kind, numbers in self._spent.items():
            spent = _each(numbers)
            times_us = np.array([one.wall for one in spent]) * 1e6
            p50, p99, p999 = (float(us) for us in np.percentile(times_us, (50, 99, 99.9)))
            longest = max(spent, key=lambda one: one.own)
            found.append(
                CallTimes(
                    kind,
                    len(spent),
                    p50,
                    p99,
                    p999,
                    longest_ms=float(times_us.max()) / 1e3,
                    over_limit=sum(one.wall * 1e3 > LIMIT_MS for one in spent),
                    waited=sum(one.has_waited for one in spent),
                    longest_own_ms=longest.own * 1e3,
                    its_cpu_ms=min(longest.own, longest.cpu) * 1e3,
                    its_waiting_ms=max(0.0, longest.own - longest.cpu) * 1e3,
                    over_limit_own=sum(one.own * 1e3 > LIMIT_MS for one in spent),
                    longest_collection_ms=max(one.collecting for one in spent) * 1e3,
                )
            )
        return found

    def long_calls(self) -> list[LongCall]:
        """Return those that took longer than the limit, of all kinds."""
        return [
            LongCall(
                kind,
                took_ms=one.wall * 1e3,
                cpu_ms=min(one.own, one.cpu) * 1e3,
                waiting_ms=max(0.0, one.own - one.cpu) * 1e3,
                not_let_ms=max(0.0, one.wall - one.own - one.collecting) * 1e3,
                collecting_ms=one.collecting * 1e3,
            )
            for kind, numbers in self._spent.items()
            for one in _each(numbers)
            if one.wall * 1e3 > LIMIT_MS
        ]

    def _not_let_s(self) -> float:
        if self._schedstat is None:
            return 0.0
        return int(os.pread(self._schedstat, 100, 0).split()[1]) / 1e9


def _each(numbers: array[float]) -> list[_Spent]:
    return [
        _Spent(wall, cpu, not_let, bool(has_waited), collecting)
        for wall, cpu, not_let, has_waited, collecting in np.reshape(numbers, (-1, _NUMBERS)).tolist()
    ]


class _Collections:
    """How long calls of the thread that made this were in the garbage collector, or waited while another thread was: it
    keeps the interpreter until it is done. Until the process ends."""

    def __init__(self) -> None:
        self.spent_s = 0.0
        self.call_begun = 0.0
        """When the present call began (time.perf_counter)."""
        self._thread = threading.get_ident()
        self._begun = 0.0
        gc.callbacks.append(self._heard)

    def _heard(self, phase: str, _: dict[str, int]) -> None:
        # Its CPU time in the thread itself, which may not be let; of another thread all that passes meanwhile.
        is_own = threading.get_ident() == self._thread
        now = time.thread_time() if is_own else time.perf_counter()
        if phase == "start":
            self._begun = now
        else:
            self.spent_s += now - (self._begun if is_own else max(self._begun, self.call_begun))


def _opened_schedstat() -> int | None:
    """Return an open file that tells of this thread: ns on a CPU, ns ready for one, turns. It lives as the process."""
    try:
        return os.open("/proc/thread-self/schedstat", os.O_RDONLY)
    except OSError:  # another system, or a kernel without it: then all time counts as the call's own
        return None


def _voluntary_switches() -> int:
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw if hasattr(resource, "RUSAGE_THREAD") else 0
