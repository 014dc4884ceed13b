"""The sending thread: offers the same frozen records to the transport until the log has acknowledged them."""

from __future__ import annotations

import random
from collections.abc import Callable

from mltrail._losses import Losses, logger
from mltrail._outbox import Outbox
from mltrail._transport import Transport
from mltrail_core.errors import Invalid, Rejected, Unavailable

BATCH_RECORDS = 64
BATCH_BYTES = 2 << 20
"""Records of one request: large enough to share an fsync, small enough that repeating it is cheap."""
_IDLE_S = 0.5
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_LONGEST_RETRY_AFTER_S = 60.0


class Sender:
    """Moves from outbox to log; one thread calls `step`."""

    def __init__(self, outbox: Outbox, transport: Callable[[], Transport], losses: Losses, shown: str) -> None:
        self._outbox = outbox
        self._transport = transport
        self._losses = losses
        self._shown = shown
        self._failures = 0
        self._alone = 0

    def step(self) -> float:
        """Send one batch; return the seconds to pause before the next."""
        max_records = 1 if self._alone else BATCH_RECORDS
        try:
            batch = self._outbox.wait_for_batch(max_records=max_records, max_bytes=BATCH_BYTES, timeout_s=_IDLE_S)
        except Unavailable as error:
            return self._pause_after(error)
        if not batch:
            return 0.0
        refused: str | None = None
        try:
            transport = self._transport()
        except Rejected as error:  # the fault is not the records': they are kept
            return self._pause_after(Unavailable(str(error), retry_after_s=_LONGEST_PAUSE_S))
        except Unavailable as error:
            return self._pause_after(error)
        try:
            transport.append([one.record for one in batch])
        except Unavailable as error:
            return self._pause_after(error)
        except Invalid as error:
            if len(batch) > 1:  # nothing was appended: find the one that is refused
                self._alone = len(batch)
                return 0.0
            refused = str(error)
            self._losses.add("records refused by the server", detail=f"run {batch[0].run_id}: {error}")
        except Rejected as error:  # another log at this address, a token without the right: not the records' fault
            return self._pause_after(Unavailable(str(error), retry_after_s=_LONGEST_PAUSE_S))
        self._alone = max(0, self._alone - len(batch))
        self._outbox.settle(len(batch), refused=refused)
        if self._failures:
            logger.warning("mltrail: %s can be reached again, sending goes on", self._shown)
            self._failures = 0
        return 0.0

    def _pause_after(self, error: Unavailable) -> float:
        self._failures += 1
        if self._failures == 1:
            logger.warning(
                "mltrail: nothing can be sent to %s for now, it is kept and tried again: %s", self._shown, error
            )
        return pause_before_retry(error, self._failures)


def pause_before_retry(error: Unavailable, failures: int) -> float:
    """Return the seconds until the next try: what the server asks, longer each time, never in step with others."""
    backoff_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(failures, 10))
    asked_s = min(error.retry_after_s, _LONGEST_RETRY_AFTER_S)
    return max(asked_s, backoff_s * random.random()) * (1 + random.random() / 4)
