"""The token in a request's `Authorization` header: as Bearer, or as the password of Basic, whatever its user name is.

MLFLOW_TRACKING_TOKEN and the SDK send Bearer; MLFLOW_TRACKING_USERNAME with _PASSWORD and browsers send Basic.
Nothing that was sent is repeated in a message: it may be a secret, of ours or meant for somebody else.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field

from mltrail_core.errors import Unauthenticated

MAX_HEADER_BYTES = 1024
"""A token has 64 characters; with a user name of 250, in base64, this is plenty."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a caller showed. A browser repeats Basic by itself on every later request (`is_basic`)."""

    text: str = field(repr=False)
    is_basic: bool


def shown_token(headers: Iterable[tuple[bytes, bytes]]) -> Shown | None:
    """Return what stands where a token should, or None when the request has no `Authorization` header.

    Args:
        headers: of an ASGI scope, names in lower case.

    Raises:
        Unauthenticated: there is a header, and no token can stand in it.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if not values:
        return None
    if len(values) > 1:
        raise Unauthenticated("the request has several Authorization headers; send one")
    if len(values[0]) > MAX_HEADER_BYTES:
        raise Unauthenticated(f"the Authorization header is over {MAX_HEADER_BYTES} bytes; a token is 64 characters")
    scheme, _, credentials = values[0].strip().partition(b" ")
    match scheme.lower():
        case b"bearer":
            return Shown(credentials.strip().decode("latin-1"), is_basic=False)
        case b"basic":
            return Shown(_password(credentials.strip()), is_basic=True)
    raise Unauthenticated("the Authorization header is neither 'Bearer <token>' nor Basic with a token as password")


def _password(credentials: bytes) -> str:
    try:
        decoded = base64.b64decode(credentials, validate=True)
    except binascii.Error as error:
        raise Unauthenticated("the credentials of Basic in the Authorization header are not base64") from error
    return decoded.decode("latin-1").partition(":")[2]
