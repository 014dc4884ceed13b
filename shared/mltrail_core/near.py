"""What the API and the projector of one server say to each other, so that a request that waits is not kept by polling.

They are threads of one process or two processes that one started; in both cases a pair of sockets is between them. All
that is said is a hint: a word that gets lost costs what polling takes, never an answer.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mltrail_core.ids import PARTITIONS

if TYPE_CHECKING:
    from mltrail_core.log import Positions

_HURRY = b"!"
_READ_BYTES = 1 << 16
_JOIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Progress:
    """What one committed transaction of a projector did to the live generation."""

    before: Positions
    after: Positions
    """Of all partitions; those that other projectors take may stand further."""
    is_clean: bool
    """Whether no event in between was rejected."""

    def has_passed(self, wanted: Positions) -> bool:
        """Return whether every partition is at its wanted index or past it."""
        return all(self.after.get(partition, 0) >= index for partition, index in wanted.items())

    def has_accepted(self, wanted: Positions) -> bool:
        """Return whether this transaction projected the records at these indices, and rejected nothing."""
        return (
            self.is_clean
            and self.has_passed(wanted)
            and all(self.before.get(partition, 0) < index for partition, index in wanted.items())
        )


class NearProjector:
    """The API's end. Used by one event loop, except for `reach`."""

    def __init__(self) -> None:
        self._channel: socket.socket | None = None
        self._replaced: list[socket.socket] = []
        """Earlier ones, to be closed by the event loop, which may be reading from the last of them."""
        self._watched: tuple[asyncio.AbstractEventLoop, socket.socket] | None = None
        self._unread = b""
        self._listener: Callable[[Progress], None] = _ignore

    @property
    def is_there(self) -> bool:
        """Whether a projector has been reached and its end is open, as far as known."""
        return self._channel is not None

    def reach(self, channel: socket.socket) -> None:
        """Talk through `channel` from now on, one end of a pair of sockets whose other end `NearReaders.add` got.

        May be called by any thread.
        """
        channel.setblocking(False)
        if self._channel is not None:
            self._replaced.append(self._channel)
        self._channel = channel

    def listen(self, listener: Callable[[Progress], None]) -> None:
        """Have `listener` called in the event loop with what the projector committed."""
        self._listener = listener

    def hurry(self) -> None:
        """Say that somebody waits: the projector looks into the log at once, and lets nothing gather."""
        channel = self._channel
        if channel is None:
            return
        if self._watched is None or self._watched[1] is not channel:
            self._unwatch()
            self._close_replaced()
            loop = asyncio.get_running_loop()
            loop.add_reader(channel, self._read, channel)
            self._watched, self._unread = (loop, channel), b""
        try:
            channel.send(_HURRY)
        except BlockingIOError:
            pass  # so many such words are on their way that one more says nothing new
        except OSError:
            self._lose(channel)

    def close(self) -> None:
        """Close this end, in the event loop or after it has ended."""
        self._unwatch()
        self._close_replaced()
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _read(self, channel: socket.socket) -> None:
        try:
            data = channel.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            return self._lose(channel)
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._listener(_progress_of(line))

    def _lose(self, channel: socket.socket) -> None:
        """The projector's process has ended; another one may have been reached already."""
        if self._watched is not None and self._watched[1] is channel:
            self._unwatch()
        if self._channel is channel:
            self._channel = None
        channel.close()

    def _unwatch(self) -> None:
        watched, self._watched = self._watched, None
        if watched is not None and not watched[0].is_closed():
            watched[0].remove_reader(watched[1])

    def _close_replaced(self) -> None:
        while self._replaced:
            self._replaced.pop().close()


class NearReaders:
    """The projector's end: what it is told by APIs, each through a channel of its own."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """Begin without any.

        Args:
            wake: ends a wait for the log that is under way; called by a thread of ours.
        """
        self.hurried = threading.Event()
        """Set when somebody waits; the projector clears it before it looks into the log."""
        self._wake = wake
        self._lock = threading.Lock()
        self._unsent: dict[socket.socket, bytes] = {}
        self._threads: list[threading.Thread] = []

    @property
    def is_anybody_there(self) -> bool:
        """Whether an API would say that somebody waits."""
        return bool(self._unsent)

    def add(self, channel: socket.socket) -> None:
        """Serve one more API; its channel is closed here when it has ended."""
        thread = threading.Thread(target=self._listen, args=(channel,), name="mltrail-near", daemon=True)
        with self._lock:
            self._unsent[channel] = b""
            self._threads = [*(known for known in self._threads if known.is_alive()), thread]
        thread.start()

    def tell(self, progress: Progress) -> None:
        """Say what was committed; an API that does not read is not waited for."""
        line = _line_of(progress)
        with self._lock:
            for channel, unsent in self._unsent.items():
                # When the rest of an earlier line does not go, this one is lost: whoever waits for it polls.
                rest = _sent(channel, unsent)
                self._unsent[channel] = rest or _sent(channel, line)

    def close(self) -> None:
        """Close all channels, so that their other ends know."""
        with self._lock:
            channels, threads = list(self._unsent), self._threads
        for channel in channels:
            _shut(channel)
        for thread in threads:
            thread.join(_JOIN_S)

    def _listen(self, channel: socket.socket) -> None:
        while _received(channel):
            self.hurried.set()
            self._wake()
        with self._lock:
            del self._unsent[channel]
        channel.close()


def _line_of(progress: Progress) -> bytes:
    columns = ([positions.get(name, 0) for name in PARTITIONS] for positions in (progress.before, progress.after))
    return json.dumps([*columns, progress.is_clean]).encode() + b"\n"


def _progress_of(line: bytes) -> Progress:
    before, after, is_clean = json.loads(line)
    return Progress(
        dict(zip(PARTITIONS, before, strict=True)), dict(zip(PARTITIONS, after, strict=True)), bool(is_clean)
    )


def _received(channel: socket.socket) -> bytes:
    try:
        return channel.recv(_READ_BYTES)
    except OSError:
        return b""


def _sent(channel: socket.socket, data: bytes) -> bytes:
    """Send what goes without waiting, and return the rest."""
    if not data:
        return b""
    try:
        return data[channel.send(data, socket.MSG_DONTWAIT) :]
    except BlockingIOError:
        return data
    except OSError:
        return b""  # it has ended; the thread that listens to it notices


def _shut(channel: socket.socket) -> None:
    try:
        channel.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has ended


def _ignore(_: Progress) -> None:
    return
