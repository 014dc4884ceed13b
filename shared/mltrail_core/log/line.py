"""Appending from within an event loop: by a line, on which one append is sent and answered without anybody waiting.

A log whose server is at the other end of a socket tells by that socket what is durable; one in a file knows it when
`send` returns, and its lines take only what does not take long. What a line does not do, whatever the reason,
`EventLog.append` does, which may wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from mltrail_core.log.port import Appended, NewRecord


class AppendLine(Protocol):
    """One append at a time; used by one thread at a time."""

    @property
    def max_records(self) -> int:
        """How many records one `send` takes."""

    def fileno(self) -> int | None:
        """Return the descriptor that becomes readable when there is something to `receive`; None when there is as soon
        as `send` has returned."""

    @property
    def is_open(self) -> bool:
        """Whether something may be sent."""

    @property
    def has_unsent(self) -> bool:
        """Whether only a part of the append has gone, so that `finish` has to send the rest."""

    def send(self, records: Sequence[NewRecord]) -> bool:
        """Send an append on its way and return True, or return False when it has to go by `EventLog.append`.

        Raises:
            LogFull, Unavailable: as from `EventLog.append`; nothing was sent.
        """

    def receive(self) -> list[Appended] | None:
        """Return where the records of the append under way are, as durable as by `EventLog.append`; None: not yet.

        Raises:
            LogFull, OutcomeUnknown, Unavailable: as from `EventLog.append`.
        """

    def finish(self, timeout_s: float) -> list[Appended]:
        """Wait for the append under way, and return and raise as `receive`; past the time its outcome is unknown."""

    def close(self) -> None:
        """Release the connection; idempotent."""


@runtime_checkable
class LogWithLines(Protocol):
    """An `EventLog` that can be appended to from within an event loop."""

    def open_line(self) -> AppendLine | None:
        """Return a new line, after waiting for the server, or None when there can be none now: then it is asked again
        after the next append, so that has to be quick.

        Raises:
            Unavailable: the log can't be reached.
        """
