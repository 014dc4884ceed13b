"""Marks beside a log in a folder: one empty file for each subject, whose modification time is when it was last seen.

A touch is one system call, needs no lock, is safe across fork and never waits for a disk; a power cut may lose it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mltrail_core.clock import now_us
from mltrail_core.errors import Invalid, Unavailable
from mltrail_core.liveness.port import KEEP_S, Attendance
from mltrail_core.rules import id_fault

_MARKS, _DUTIES = "seen", "duties"


class FolderLiveness:
    """`Liveness` in a folder that is made when the first mark comes."""

    def __init__(self, folder: Path, clock_us: Callable[[], int] = now_us) -> None:
        self._folder = folder
        self._clock_us = clock_us

    def mark(self, subjects: Sequence[str]) -> None:
        _refuse_strangers(subjects)
        with self._reaching():
            for subject in subjects:
                self._touch(self._folder / _MARKS / subject, self.now_us())

    def last_seen(self, subjects: Sequence[str]) -> dict[str, int]:
        found = {}
        with self._reaching():
            for subject in subjects:
                seen_us = None if id_fault(subject) else _modified_us(self._folder / _MARKS / subject)
                if seen_us is not None:
                    found[subject] = seen_us
        return found

    def now_us(self) -> int:
        return self._clock_us()

    def attend(self, duty: str, *, patience_s: float) -> Attendance:
        _refuse_strangers([duty])
        now_us = self.now_us()
        with self._reaching():
            before = self._attended(duty)
            is_kept = before is not None and before.until_us <= now_us <= before.until_us + patience_s * 1e6
            since_us = before.since_us if before is not None and is_kept else now_us
            if is_kept:
                self._touch(self._folder / _DUTIES / duty, now_us)
            else:
                self._replace(self._folder / _DUTIES / duty, str(now_us), now_us)
        return Attendance(since_us, now_us)

    def attended(self, duty: str) -> Attendance | None:
        with self._reaching():
            found = self._attended(duty)
        return None if found is None or found.until_us < self.now_us() - KEEP_S * 1e6 else found

    def forget(self, *, older_than_s: float = KEEP_S) -> int:
        oldest_us, forgotten = self.now_us() - int(older_than_s * 1e6), 0
        with self._reaching(), contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self._folder / _MARKS):
                with contextlib.suppress(FileNotFoundError):  # another reaper was quicker
                    if entry.stat().st_mtime_ns // 1000 < oldest_us:
                        os.unlink(entry)
                        forgotten += 1
        return forgotten

    def close(self) -> None:
        pass

    def _attended(self, duty: str) -> Attendance | None:
        file = self._folder / _DUTIES / duty
        try:
            since_us = int(file.read_text())
        except (FileNotFoundError, ValueError):  # a power cut may leave an empty file
            return None
        until_us = _modified_us(file)
        return None if until_us is None else Attendance(since_us, until_us)

    def _touch(self, file: Path, now_us: int) -> None:
        # Not "now" by the kernel, whose clock for files may lag time.time() by some milliseconds.
        try:
            os.utime(file, ns=(now_us * 1000, now_us * 1000))
        except FileNotFoundError:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
            os.utime(file, ns=(now_us * 1000, now_us * 1000))

    def _replace(self, file: Path, content: str, now_us: int) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f".{file.name}-{secrets.token_hex(4)}")
        fresh.write_text(content)
        os.utime(fresh, ns=(now_us * 1000, now_us * 1000))
        os.replace(fresh, file)

    @contextlib.contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unavailable(f"the marks in {self._folder} can't be used: {error.strerror or error}") from error


def _modified_us(file: Path) -> int | None:
    try:
        return file.stat().st_mtime_ns // 1000
    except FileNotFoundError:
        return None


def _refuse_strangers(subjects: Sequence[str]) -> None:
    for subject in subjects:
        fault = id_fault(subject)
        if fault is not None:
            raise Invalid(fault)
