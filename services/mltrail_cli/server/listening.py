"""The socket that a server listens on: bound before anything slow is imported."""

from __future__ import annotations

import errno
import socket

from mltrail_cli.settings import DEFAULT_PORT
from mltrail_core.errors import Conflict, Invalid

_TRIED_PORTS = 100
_BACKLOG = 2048
_WILDCARDS = ("0.0.0.0", "::", "")


def listen(host: str, port: int | None) -> socket.socket:
    """Return a socket that accepts connections; with `port` of None it is 5000 or the next one that is free.

    Raises:
        Invalid: the host is no address of this machine.
        Conflict: the port, or every one that may be tried, is taken.
    """
    candidates = range(DEFAULT_PORT, DEFAULT_PORT + _TRIED_PORTS) if port is None else (port,)
    for candidate in candidates:
        try:
            return _bind(host, candidate)
        except OSError as error:
            if error.errno == errno.EACCES:
                raise Invalid(f"port {candidate} of {host} is for privileged users; choose one above 1023") from error
            if error.errno != errno.EADDRINUSE:
                raise Invalid(f"host {host!r} can't be listened on: {error.strerror or error}") from error
    if port is None:
        raise Conflict(
            f"ports {candidates[0]} to {candidates[-1]} of {host} are all taken; name a free one with --port"
        )
    raise Conflict(f"port {port} of {host} is taken by another program; stop it or name another port with --port")


def url_of(listener: socket.socket, host: str) -> str:
    """Return the URL at which a browser of this machine finds the server."""
    shown = "127.0.0.1" if host in _WILDCARDS else host
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{listener.getsockname()[1]}"


def published_url_of(listener: socket.socket, host: str) -> str:
    """Return the URL at which other machines find the server, as far as it can know."""
    return url_of(listener, socket.gethostname() if host in _WILDCARDS else host)


def port_note(listener: socket.socket, wanted: int | None) -> str | None:
    """Return what to say when the server is not on its default port, although no other was asked for."""
    port = listener.getsockname()[1]
    return f"port {DEFAULT_PORT} was taken" if wanted is None and port != DEFAULT_PORT else None


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.set_inheritable(True)
    except OSError:
        listener.close()
        raise
    return listener
