"""What stands before every endpoint: who sends the request, and whether that is enough."""

from __future__ import annotations

from starlette.types import Scope

from mltrail_api.identity.credentials import shown_token
from mltrail_api.identity.identity import MISSING_TOKEN, keep_identity
from mltrail_api.identity.verifier import TokenVerifier
from mltrail_core.errors import Forbidden, Unauthenticated

OPEN_PATHS = frozenset({"/health", "/version"})
"""Served to everybody, whatever they show: load balancers and clients that ask whether a server is there."""
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Gate:
    """Lets requests through, with the identity of their sender in the scope."""

    def __init__(self, verifier: TokenVerifier, *, requires_token: bool) -> None:
        self._verifier = verifier
        self._requires_token = requires_token

    async def admit(self, scope: Scope) -> None:
        """Return when the request may go on.

        Somebody who shows nothing is anonymous where that is allowed. A token that is not valid never is taken for
        nothing: its sender believes to be known.

        Raises:
            Unauthenticated: no token was shown and one is required, or the one that was shown is not valid.
            Forbidden: a page of another site made a browser send its user's token.
            Unavailable: tokens can't be looked up.
        """
        if scope["path"] in OPEN_PATHS:
            return
        shown = shown_token(scope["headers"])
        if shown is None:
            if self._requires_token:
                raise Unauthenticated(MISSING_TOKEN)
            return
        identity = await self._verifier.identity_of(shown.text)
        if shown.is_basic and scope["method"] not in _READING and _is_from_other_site(scope):
            raise Forbidden("a page of another site sent this request; only pages of this server may change things")
        keep_identity(scope, identity)


def _is_from_other_site(scope: Scope) -> bool:
    """Return whether a browser says so. Only browsers repeat a password by themselves, and all of today's say it."""
    return any(name == b"sec-fetch-site" and value not in (b"same-origin", b"none") for name, value in scope["headers"])
