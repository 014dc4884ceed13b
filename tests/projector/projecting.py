"""A projector that runs in a thread as long as a test needs it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from mltrail_core.log import EventLog
from mltrail_core.readmodel.store import ReadModel
from mltrail_projector.loop import Projector


@contextlib.contextmanager
def projecting(log: EventLog, read_model: ReadModel) -> Iterator[None]:
    """Run a projector until the block ends."""
    stop = threading.Event()
    thread = threading.Thread(target=Projector(log, read_model).run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def wait_for(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Return once the condition holds; fail when it does not within `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"the condition did not come true within {timeout_s:g} s"
        threading.Event().wait(0.01)
