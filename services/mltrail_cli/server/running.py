"""A server's life: bind, answer, load, work, and end in the order in which nothing is lost."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

from mltrail_cli.server.background_process import BackgroundProcess, is_wanted
from mltrail_cli.server.front import Front
from mltrail_cli.server.listening import address_of, listen
from mltrail_cli.settings import Settings

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from mltrail_api.app import Application
    from mltrail_api.express import Express

_GRACE_S = 5
"""How long an end waits for requests under way."""


def serve(settings: Settings) -> None:
    """Run the role until SIGINT or SIGTERM, then return.

    Raises:
        MltrailError: it could not start.
    """
    stop = stop_on_signals()
    if settings.role in ("projector", "jobs"):
        return _serve_nothing(settings, stop)
    with listen(settings.host, settings.port) as listener:
        if settings.workers == 1:
            _serve_here(settings, listener)
        else:
            _serve_in_workers(settings, listener, stop)


def stop_on_signals() -> threading.Event:
    """Return an event that SIGINT and SIGTERM set, instead of ending the process.

    uvicorn raises the signals that it got once more when it has stopped; they arrive here, and the process lives on
    to finish its work.
    """
    stop = threading.Event()

    def handle(_: int, __: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
    return stop


def run_uvicorn(front: Front, listener: socket.socket) -> None:
    """Answer requests in this thread until a signal comes; requests under way have `_GRACE_S` to end."""
    import uvicorn

    uvicorn.Server(uvicorn_config(front, front.express)).run(sockets=[listener])


def uvicorn_config(app: ASGIApp, express: Callable[[], Express | None]) -> uvicorn.Config:
    """Return how uvicorn serves our applications: silent itself, since they say what happened.

    Args:
        app: what answers.
        express: what answers the busiest requests before it, once it is there.
    """
    import uvicorn

    from mltrail_cli.server.express_protocol import protocol_with

    return uvicorn.Config(
        app,
        interface="asgi3",
        http=protocol_with(express),
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )


def _serve_here(settings: Settings, listener: socket.socket) -> None:
    closings = []
    address = address_of(settings, listener)

    def load() -> Application:
        background = None
        if is_wanted(settings):
            background = BackgroundProcess()
            closings.append(background.close)
            background.start(settings)  # first, so that both processes load at once
        from mltrail_cli.server.application import application  # slow: /health answers meanwhile
        from mltrail_cli.server.loading import Loader

        loader = Loader(settings, address, background=background)
        closings.append(loader.close)
        ports = loader.open()
        return application(ports, settings, loader.near_projector())

    front = Front(load)
    run_uvicorn(front, listener)
    for close in closings:
        close()
    if front.failure is not None:
        raise front.failure


def _serve_in_workers(settings: Settings, listener: socket.socket, stop: threading.Event) -> None:
    """Let worker processes answer; this one runs what the role has in the background, once for them all."""
    from mltrail_cli.server.worker_processes import WorkerProcesses

    with contextlib.ExitStack() as closing:
        workers = WorkerProcesses(settings, listener)
        closing.callback(workers.close)
        workers.start()  # before anything slow is imported: they answer /health soon
        from mltrail_cli.server.loading import Loader

        loader = Loader(settings, address_of(settings, listener))
        closing.callback(loader.close)
        loader.open()
        workers.watch(stop, loader.serve)
        workers.close()  # first, since their requests wait for the projector


def _serve_nothing(settings: Settings, stop: threading.Event) -> None:
    from mltrail_cli.server.loading import Loader

    loader = Loader(settings, None)
    try:
        loader.open()
        stop.wait()
    finally:
        loader.close()
