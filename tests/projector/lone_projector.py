"""A projector in a process of its own, for tests that kill it: python -m tests.projector.lone_projector LOG STORE."""

from __future__ import annotations

import sys
import threading

from mltrail_core.log import open_log
from mltrail_core.readmodel.store import open_read_model
from mltrail_projector.loop import Projector

if __name__ == "__main__":
    Projector(open_log(sys.argv[1]), open_read_model(sys.argv[2])).run(threading.Event())
