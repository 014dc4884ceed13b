"""Who a request was found to come from, and where the layers of the application keep it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import Scope

from mltrail_core.errors import Unauthenticated
from mltrail_core.record import Actor, Attestation
from mltrail_core.token import ATTESTED_BY_TOKEN

_KEY = "mltrail.identity"


@dataclass(frozen=True, slots=True)
class Identity:
    """The user of the token that a request showed."""

    user: str
    token_id: str

    @property
    def actor(self) -> Actor:
        """The actor of what the request does."""
        return Actor(self.user, "verified")

    @property
    def attestation(self) -> Attestation:
        """Our word for a record that the sender froze, and in which it could only claim who it is."""
        return Attestation(ATTESTED_BY_TOKEN, self.token_id)


def keep_identity(scope: Scope, identity: Identity) -> None:
    """Say who sent the request, for all that handle it."""
    scope[_KEY] = identity


def identity_of(scope: Scope) -> Identity | None:
    """Return who sent the request, or None for somebody who showed no token."""
    identity: Identity | None = scope.get(_KEY)
    return identity


def required_identity(scope: Scope) -> Identity:
    """Return who sent the request.

    Raises:
        Unauthenticated: nobody knows, because no token was shown.
    """
    identity = identity_of(scope)
    if identity is None:
        raise Unauthenticated(MISSING_TOKEN)
    return identity


MISSING_TOKEN = (
    "this needs an API token: set MLFLOW_TRACKING_TOKEN for the mlflow client, MLTRAIL_TOKEN for mltrail, or give it "
    "as the password in a browser; whoever runs the server makes one with `mltrail tokens create USER`"
)
