"""The resending thread: what dead processes left on this machine for the same place is sent by the living."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mltrail._losses import logger
from mltrail._sender import pause_before_retry
from mltrail._settings import Destination
from mltrail._spool import spools_in
from mltrail._spool.delivery import DeadSpool
from mltrail._transport import Transport, open_transport
from mltrail_core.errors import Rejected, Unavailable

_NOT_YET_S = 0.5
_LOOK_AGAIN_S = 60.0
_AFTER_REJECTION_S = 300.0


class Resender:
    """Claims one dead spool after the other; one thread calls `step`. It never gets in the way of what is logged now:
    it begins once something of this process has arrived, and uses connections of its own."""

    def __init__(self, places: tuple[Path, ...], destination: Destination, has_arrived: Callable[[], bool]) -> None:
        self._places = places
        self._destination = destination
        self._has_arrived = has_arrived
        self._transport: Transport | None = None
        self._spool: DeadSpool | None = None
        self._unsendable: set[Path] = set()
        """For another place, or in another format."""
        self._failures = 0

    def begin_again_in_child(self) -> None:
        """Leave the claimed spool to the parent."""
        if self._spool is not None:
            self._spool.abandon_in_child()

    def step(self) -> float:
        """Send a part of a dead spool; return the seconds to pause."""
        if not self._has_arrived():
            return _NOT_YET_S
        if self._spool is None:
            self._spool = self._next()
            if self._spool is None:
                self._release_transport()
                return _LOOK_AGAIN_S
        try:
            if self._transport is None:
                self._transport = open_transport(self._destination)
            if self._spool.send_some(self._transport):
                self._failures = 0
                return 0.0
        except Unavailable as error:
            self._failures += 1
            return pause_before_retry(error, self._failures)
        except Rejected as error:
            logger.warning("mltrail: the spool %s can't be sent: %s", self._spool.path, error)
            self._unsendable.add(self._spool.path)
            self._leave()
            return _AFTER_REJECTION_S
        for reason in self._spool.given_up:
            logger.warning("mltrail: %s", reason)
        logger.warning("mltrail: sent what process %d had left behind", self._spool.about.writer.process_id)
        if self._spool.contents().refused_count:
            self._unsendable.add(self._spool.path)
        self._leave()
        return 0.0

    def close(self) -> None:
        """Leave what is claimed to others; called when the thread has ended."""
        self._leave()
        self._release_transport()

    def _next(self) -> DeadSpool | None:
        for place in self._places:
            try:
                paths = spools_in(place)
            except OSError as error:
                logger.warning("mltrail: the spool %s can't be read: %s", place, error)
                continue
            for path in paths:
                if path not in self._unsendable and (spool := self._claimed(path)) is not None:
                    return spool
        return None

    def _claimed(self, path: Path) -> DeadSpool | None:
        try:
            spool = DeadSpool.claim(path)
        except (OSError, Rejected, Unavailable) as error:
            logger.warning("mltrail: the spool %s can't be sent: %s", path, error)
            self._unsendable.add(path)
            return None
        if spool is None:
            return None
        if spool.about.destination == self._destination.shown:
            return spool
        self._unsendable.add(path)
        spool.close()
        return None

    def _leave(self) -> None:
        spool, self._spool = self._spool, None
        if spool is not None:
            spool.close()

    def _release_transport(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()
