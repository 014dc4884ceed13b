"""A projector in a process of its own, to be killed or measured: python -m tests.projector.lone_projector LOG STORE.

With --wait it says that it is ready, and begins when a line comes.
"""

from __future__ import annotations

import sys
import threading

from mltrail_core.log import open_log
from mltrail_core.readmodel.store import open_read_model
from mltrail_projector.loop import Projector

if __name__ == "__main__":
    projector = Projector(open_log(sys.argv[1]), open_read_model(sys.argv[2]))
    if "--wait" in sys.argv:
        print("ready", flush=True)
        sys.stdin.readline()
    projector.run(threading.Event())
