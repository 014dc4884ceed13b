"""The socket that a server listens on: bound before anything slow is imported."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

from mltrail_cli.settings import DEFAULT_PORT, Settings
from mltrail_core.errors import Conflict, Invalid

_TRIED_PORTS = 100
_BACKLOG = 2048
_WILDCARDS = ("0.0.0.0", "::", "")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is found: by a browser of this machine, and by other machines as far as it can know."""

    url: str
    published_url: str
    note: str | None
    """Why the port is not the default one, although no other was asked for."""


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


def address_of(settings: Settings, listener: socket.socket) -> Address:
    """Return where the server of `listener` is found."""
    port = listener.getsockname()[1]
    is_moved = settings.port is None and port != DEFAULT_PORT
    host = settings.host
    return Address(
        url=_url("127.0.0.1" if host in _WILDCARDS else host, port),
        published_url=settings.public_url or _url(socket.gethostname() if host in _WILDCARDS else host, port),
        note=f"port {DEFAULT_PORT} was taken" if is_moved else None,
    )


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


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
