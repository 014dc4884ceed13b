"""Which names a server is called by. A page of a stranger can make a browser call this machine by a name of the
stranger's own (DNS rebinding), and then reads and writes as if it were a page of this server."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from fnmatch import fnmatchcase

from starlette.types import Scope

from mltrail_core.errors import Forbidden

_LOCAL_NAMES = ("localhost", "*.localhost", "*.localdomain")
_MAX_REMEMBERED = 1000


class Hosts:
    """The names under which requests without a token are answered.

    Args:
        allowed: names, `*` in them standing for anything; asked for whatever the address is that a request comes to.
            None: at loopback addresses its local names, the machine's, `public_name` and literal addresses; at all
            others any name, since whoever reaches those needs no browser's help.
        public_name: what the server is known by outside.
    """

    def __init__(self, allowed: Sequence[str] | None = None, public_name: str | None = None) -> None:
        self._is_strict = allowed is not None
        own = (socket.gethostname(), public_name or "localhost")  # a machine's name may stand for 127.0.1.1
        names = (*_LOCAL_NAMES, *own, *(allowed or ()))
        self._patterns = tuple(name.lower() for name in names)
        self._known: dict[bytes, bool] = {}

    def refuse_unknown(self, scope: Scope) -> None:
        """Raise `Forbidden` for a request whose `Host` is no name of this server. One without is no browser's."""
        if not self._is_strict and not _is_of_this_machine(scope):
            return
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")
        is_known = self._known.get(host)
        if is_known is None:
            is_known = self._is_known(host.decode("latin-1"))
            if len(self._known) < _MAX_REMEMBERED:
                self._known[host] = is_known
        if not is_known:
            name = name_of(host.decode("latin-1"))
            raise Forbidden(
                f"this server is not known as {name!r}; if it is yours, start it with --allowed-hosts {name} "
                "or give its --public-url, else a stranger's page may be behind this request"
            )

    def _is_known(self, host: str) -> bool:
        name = name_of(host)
        return not name or _is_address(name) or any(fnmatchcase(name, pattern) for pattern in self._patterns)


def name_of(host: str) -> str:
    """Return the name or address of a `Host` header, without its port, in lower case."""
    name, _, port = host.rpartition(":")
    if not name or not port.isdigit():
        name = host
    return name.strip("[]").rstrip(".").lower()


def _is_of_this_machine(scope: Scope) -> bool:
    server = scope.get("server")
    return server is not None and (server[0].startswith("127.") or server[0] in ("::1", "::ffff:127.0.0.1"))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
