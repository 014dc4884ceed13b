"""What stands before every endpoint: who sends the request, and whether that is enough."""

from __future__ import annotations

from starlette.types import Scope

from mltrail_api.identity.credentials import Shown, shown_token
from mltrail_api.identity.hosts import Hosts
from mltrail_api.identity.identity import MISSING_TOKEN, Identity, keep_identity
from mltrail_api.identity.verifier import TokenVerifier
from mltrail_core.errors import Forbidden, Unauthenticated

OPEN_PATHS = frozenset({"/health", "/version"})
"""Served to everybody, whatever they show: load balancers and clients that ask whether a server is there."""
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Gate:
    """Lets requests through, with the identity of their sender in the scope."""

    def __init__(self, verifier: TokenVerifier, *, requires_token: bool, hosts: Hosts | None = None) -> None:
        self._verifier = verifier
        self._hosts = hosts or Hosts()
        self._requires_token = requires_token

    async def admit(self, scope: Scope) -> None:
        """Return when the request may go on.

        Somebody who shows nothing is anonymous where that is allowed. A token that is not valid never is taken for
        nothing: its sender believes to be known.

        Raises:
            Unauthenticated: no token was shown and one is required, or the one that was shown is not valid.
            Forbidden: a page of another site made a browser send this, with its user's token or to a server that asks
                for none and may be reachable for that user alone; or the request names a host that this server is not.
            Unavailable: tokens can't be looked up.
        """
        if scope["path"] in OPEN_PATHS:
            return
        shown = shown_token(scope["headers"])
        self._judge(scope, shown, None if shown is None else await self._verifier.identity_of(shown.text))

    def admit_at_once(self, scope: Scope) -> bool:
        """Return True when the request may go on; False when `admit` has to say so, or why not.

        Args:
            scope: with method, headers and server at least; not of an open path.
        """
        try:
            shown = shown_token(scope["headers"])
            identity = None if shown is None else self._verifier.remembered(shown.text)
            if shown is not None and identity is None:
                return False
            self._judge(scope, shown, identity)
        except (Unauthenticated, Forbidden):
            return False
        return True

    def _judge(self, scope: Scope, shown: Shown | None, identity: Identity | None) -> None:
        if shown is None or identity is None:
            if self._requires_token:
                raise Unauthenticated(MISSING_TOKEN)
            self._hosts.refuse_unknown(scope)
            _refuse_other_sites(scope)
            return
        if shown.is_basic:
            _refuse_other_sites(scope)
        keep_identity(scope, identity)


def _refuse_other_sites(scope: Scope) -> None:
    """Refuse what changes things and comes, as a browser says, from a page of another site.

    Only browsers send what their user did not ask for, and all of today's say it. A Bearer token no browser adds.
    """
    if scope["method"] not in _READING and _is_from_other_site(scope):
        raise Forbidden("a page of another site sent this request; only pages of this server may change things")


def _is_from_other_site(scope: Scope) -> bool:
    return any(name == b"sec-fetch-site" and value not in (b"same-origin", b"none") for name, value in scope["headers"])
