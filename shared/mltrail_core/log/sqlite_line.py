"""A line to a log in a file: appends that an event loop makes itself, where they take no longer than a moment.

A thread that appends for the loop costs two wakes for each group and an interpreter's lock that goes to and fro, which
for a small record is as much as the fsync. So the loop waits for the disk itself, unless that could take long: while
somebody else has his turn to write, for what is large, for many records at once, and on a disk that was slow lately.
The requests that come meanwhile are the next group. A disk that hangs all of a sudden is not foreseen: once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from mltrail_core.errors import OutcomeUnknown
from mltrail_core.log.port import Appended, NewRecord

LINE_BYTES = 128 << 10
"""More at once goes by an append that waits: half a millisecond of writing."""
SLOW_APPEND_S = 0.003
"""An event loop that stands still for longer than this, on average, had better leave appends to a thread."""
_WEIGHT = 0.1
"""Of the last append in that average: one of several hundred moves the log's tail into the database, which takes
longer."""
_REST_S = 1.0
_REST_TIMES = 50
"""After a slow time the loop tries again so much later: a second at least, and so many times what the last append took,
so that it never stands still for more than a fiftieth of the time."""

AppendNow = Callable[[Sequence[NewRecord]], list[Appended] | None]


class Pace:
    """How long appends to one log take in the event loop, on average."""

    def __init__(self) -> None:
        self._average_s = 0.0
        self._quick_again_at_s = 0.0

    @property
    def is_quick(self) -> bool:
        """Whether the event loop may append."""
        return time.monotonic() >= self._quick_again_at_s

    def note(self, took_s: float) -> None:
        """Take an append into account."""
        self._average_s += _WEIGHT * (took_s - self._average_s)
        if self._average_s > SLOW_APPEND_S:
            rest_s = max(_REST_S, _REST_TIMES * took_s)
            self._average_s, self._quick_again_at_s = 0.0, time.monotonic() + rest_s


class SqliteLine:
    """An `AppendLine` whose appends are answered by the time they are sent."""

    has_unsent = False

    def __init__(self, append_now: AppendNow, pace: Pace, max_records: int) -> None:
        self.max_records = max_records
        self._append_now = append_now
        self._pace = pace
        self._outcome: list[Appended] | OutcomeUnknown | None = None

    def fileno(self) -> None:
        """Return None: there is nothing to watch."""

    @property
    def is_open(self) -> bool:
        """Whether the disk was not slow lately."""
        return self._pace.is_quick

    def send(self, records: Sequence[NewRecord]) -> bool:
        """Append and return True, or return False when that has to wait or could take long; raises as `AppendLine`."""
        if not self._pace.is_quick or sum(len(record.frozen) for record in records) > LINE_BYTES:
            return False
        begun = time.monotonic()
        try:
            self._outcome = self._append_now(records)
        except OutcomeUnknown as error:
            self._outcome = error
        if self._outcome is not None:  # else it says nothing of the disk
            self._pace.note(time.monotonic() - begun)
        return self._outcome is not None

    def receive(self) -> list[Appended] | None:
        """Return where the records are that were just sent; raises as `AppendLine`."""
        outcome, self._outcome = self._outcome, None
        if isinstance(outcome, OutcomeUnknown):
            raise outcome
        return outcome

    def finish(self, timeout_s: float) -> list[Appended]:
        """Return as `receive`, at once."""
        outcome = self.receive()
        if outcome is None:
            raise OutcomeUnknown("nothing is known of the append that was under way")
        return outcome

    def close(self) -> None:
        """Do nothing: the log's connections are its own."""
