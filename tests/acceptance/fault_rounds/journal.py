"""What the calls of a trainer had returned from: a line for each, written by one `write` that survives a SIGKILL."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

START_RUN = 0
"""The number of the line that `start_run` is given; calls count from 1."""
ENDED = -1
"""The number of the line that says that `end` has returned."""


@dataclass(frozen=True, slots=True)
class Line:
    """One call. Times are of `time.monotonic_ns`, which all processes of a machine share."""

    number: int
    returned_ns: int
    hiccup_ns: int
    """The longest that the trainer, and so perhaps the SDK's threads, had to wait for the machine until then."""
    word: str = ""


class JournalWriter:
    """Appends lines; nothing waits in a buffer, and nothing for a disk."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._hiccup_ns = 0

    def note(self, number: int, word: str = "") -> None:
        """Say that a call has returned."""
        os.write(self._file, f"{number} {time.monotonic_ns()} {self._hiccup_ns} {word}\n".encode())

    def note_hiccup(self, waited_ns: int) -> None:
        """Take into account how long the machine let the trainer wait for nothing; later lines say the longest."""
        self._hiccup_ns = max(self._hiccup_ns, waited_ns)


def read_journal(path: Path) -> list[Line]:
    """Return the lines that were written; none when the trainer was killed before it could write any."""
    if not path.exists():
        return []
    lines = []
    for text in path.read_text().split("\n")[:-1]:
        number, returned_ns, hiccup_ns, word = text.split(" ", 3)
        lines.append(Line(int(number), int(returned_ns), int(hiccup_ns), word))
    return lines
