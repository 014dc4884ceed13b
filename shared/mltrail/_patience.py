"""How long a flush, the end of a run and the end of the process wait for a server that may never answer."""

from __future__ import annotations

import time

from mltrail._background import Background
from mltrail._buffer import Buffer, Close, Flush
from mltrail._losses import logger
from mltrail._outbox import Outbox
from mltrail._settings import Settings
from mltrail._stream import Stream
from mltrail_core.events import RunStatusChanged

_IMPATIENT_S = 1.0
"""What an end waits after an earlier one has waited in vain."""
_LONGEST_SPARE_S = 2.0


class Patience:
    """Waits for what was said, a bounded time; less once that was in vain."""

    def __init__(self, settings: Settings, buffer: Buffer, outbox: Outbox, background: Background) -> None:
        self._settings = settings
        self._buffer = buffer
        self._outbox = outbox
        self._background = background
        self.is_lost = False
        """Whether the last end of a run has waited in vain."""

    def deadline(self, timeout_s: float) -> float:
        """Return until when an end that may take so long waits (time.monotonic)."""
        return time.monotonic() + (min(_IMPATIENT_S, timeout_s) if self.is_lost else timeout_s)

    def flush(self, stream: Stream | None, deadline: float) -> bool:
        """Return True once all that was said before is durable on the other side (when the session is offline: in the
        spool), False at `deadline`."""
        is_done = self._background.wait_done(stream, deadline)
        flush = Flush()
        self._buffer.put(flush)
        return self._wait(flush, deadline) and is_done

    def say_end(self, stream: Stream, status: RunStatusChanged | None, deadline: float) -> Flush:
        """Put the end of a stream on its way, after its artifacts if they are stored in time."""
        # A part of the time is kept back, to send the end of the run even though its artifacts could not be stored.
        spare_s = min(_LONGEST_SPARE_S, max(0.0, deadline - time.monotonic()) / 4)
        if not self._background.wait_for_end(stream, deadline - spare_s):
            self._background.give_up(stream)
        close = Close(stream, status, Flush())
        self._buffer.put(close)
        return close.flush

    def wait_for_end(self, stream: Stream, flush: Flush, deadline: float, settled_before: int) -> None:
        """Return once the end has arrived, or at `deadline`, with a warning; `settled_before` is how many records were
        settled when its way began."""
        if self._wait(flush, deadline):
            self.is_lost = False
            return
        self.is_lost = self._outbox.settled == settled_before
        logger.warning(
            "mltrail: run %s ended, but not all of it could be sent to %s within %g s; sending goes on",
            stream.run_id,
            self._settings.destination.shown,
            self._settings.exit_timeout_s,
        )

    def _wait(self, flush: Flush, deadline: float) -> bool:
        if not flush.packed.wait(max(0.0, deadline - time.monotonic())):
            return False
        if self._settings.is_offline:
            return flush.is_kept
        return self._outbox.wait_settled(flush.position, deadline)
