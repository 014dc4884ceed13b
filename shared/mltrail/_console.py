"""What the program prints: kept beside the terminal, without ever standing in its way.

`write` of the two streams is wrapped in place, so handlers of `logging` that hold a stream, progress bars and `print`
are all seen, and the streams stay what they are. What C libraries and child processes write past Python is not.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

HEAD_CHARACTERS = 512 << 10
TAIL_CHARACTERS = 3584 << 10
"""Of a console that is kept: how it began, and how it ended; what lies between is left out, and counted."""


_Write = Callable[[str], int]


class _Stream(Protocol):
    write: _Write


class ConsoleLog:
    """The text that the streams were given since this was made, bounded. `add` is called by whoever prints."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may print while this thread is in `add`
        self._head: list[str] = []
        self._head_room = HEAD_CHARACTERS
        self._tail: deque[str] = deque()
        self._tail_characters = 0
        self._left_out = 0
        self._characters = 0

    @property
    def character_count(self) -> int:
        """How much was printed so far, left out or not."""
        return self._characters

    def add(self, text: str) -> None:
        """Keep the text, in place of older text when there is no more room."""
        with self._lock:
            self._characters += len(text)
            if self._head_room > 0:
                begun = text[: self._head_room]
                self._head.append(begun)
                self._head_room -= len(begun)
                text = text[len(begun) :]
            if text:
                self._tail.append(text)
                self._tail_characters += len(text)
            while self._tail_characters > TAIL_CHARACTERS and len(self._tail) > 1:
                dropped = len(self._tail.popleft())
                self._tail_characters -= dropped
                self._left_out += dropped

    def text(self) -> str:
        """Return what is kept, as a terminal would show it: of a line that was written over, its last form."""
        with self._lock:
            head, tail, left_out = "".join(self._head), "".join(self._tail), self._left_out
        between = f"\n… {left_out} characters left out …\n" if left_out else ""
        return "\n".join(_shown_line(line) for line in (head + between + tail).split("\n"))


class Console:
    """The wrapped streams of this process, and the logs that want their text."""

    def __init__(self) -> None:
        self._logs: tuple[ConsoleLog, ...] = ()
        self._wrapped: list[tuple[_Stream, _Write, _Write | None]] = []
        """Stream, our `write`, and the `write` that somebody had given the stream before us."""
        self._lock = threading.RLock()

    def attach(self, log: ConsoleLog) -> None:
        """Give the log what is printed from now on."""
        with self._lock:
            self._logs = (*self._logs, log)
            if not self._wrapped:
                self._wrap_streams()

    def detach(self, log: ConsoleLog) -> None:
        """Give the log nothing any more; the last one leaves the streams as they were."""
        with self._lock:
            self._logs = tuple(one for one in self._logs if one is not log)
            if not self._logs:
                self._unwrap_streams()

    def begin_again_in_child(self) -> None:
        """Leave a forked process alone: what it prints is not this run's console."""
        self._lock = threading.RLock()
        self._logs = ()
        self._unwrap_streams()

    def _wrap_streams(self) -> None:
        for found in (sys.stdout, sys.stderr):
            if found is None or any(found is one for one, _, _ in self._wrapped):
                continue  # a program without a console, or one stream for both
            stream = cast(_Stream, found)
            previous: _Write | None = getattr(found, "__dict__", {}).get("write")
            write = self._seeing(stream.write)
            try:
                stream.write = write
            except AttributeError:
                continue  # a stream of somebody's own that allows no such thing
            self._wrapped.append((stream, write, previous))

    def _unwrap_streams(self) -> None:
        for stream, write, previous in self._wrapped:
            if getattr(stream, "__dict__", {}).get("write") is not write:
                continue  # somebody wrapped ours since: it stays there, and only passes on
            if previous is None:
                del stream.write
            else:
                stream.write = previous
        self._wrapped.clear()

    def _seeing(self, write: _Write) -> _Write:
        def write_and_keep(text: str) -> int:
            written = write(text)
            if isinstance(text, str):
                for log in self._logs:
                    log.add(text)
            return written

        return write_and_keep


def _shown_line(line: str) -> str:
    """Return what is left of a line after its carriage returns; progress bars write over themselves."""
    return next((part for part in reversed(line.split("\r")) if part), "") if "\r" in line else line
