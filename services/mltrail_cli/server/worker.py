"""One of several API processes: `python -m mltrail_cli.server.worker LISTENER CHANNEL`, settings as a line on stdin.

Both are descriptors: of the socket on which it answers, and of its end of the channel to the projector.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING

from mltrail_cli.server.front import Front
from mltrail_cli.server.running import run_uvicorn, stop_on_signals

if TYPE_CHECKING:
    from mltrail_api.app import Application


def main() -> None:
    """Answer requests on the socket that was inherited, until a signal comes or the parent is gone."""
    stop_on_signals()
    from mltrail_cli.settings import Settings

    settings = Settings.model_validate_json(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, name="mltrail-parent", daemon=True).start()
    closings = []

    def load() -> Application:
        from mltrail_cli.composition import open_ports
        from mltrail_cli.event_lines import configure_event_lines
        from mltrail_cli.server.application import application
        from mltrail_core.near import NearProjector

        configure_event_lines()
        ports = open_ports(settings)
        closings.append(ports.close)
        near = NearProjector()
        near.reach(socket.socket(fileno=int(sys.argv[2])))
        return application(ports, settings, near)

    front = Front(load)
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        run_uvicorn(front, listener)
    for close in closings:
        close()
    if front.failure is not None:
        sys.exit(f"mltrail: worker {os.getpid()} could not start: {front.failure}")


def _end_with_parent() -> None:
    sys.stdin.read()  # returns when the parent's end of the pipe is closed, also by its death
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
