"""Events of API tokens: who holds one, and until when; all go to the partition `control`. No secret is ever in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mltrail_core.events.text import FreeText


@dataclass(frozen=True, slots=True)
class TokenCreated:
    """Emitted by the command line and POST /api/v1/tokens: who shows a token with this hash is `user`.

    `secret_sha256` is the lower-case hex SHA-256 of the whole token (see `mltrail_core.token` for why that is enough).
    Rejected when the id is taken.
    """

    WIRE_NAME: ClassVar[str] = "token_created"
    occurred_us: int
    token_id: str
    user: FreeText
    secret_sha256: str
    label: FreeText = ""
    expires_us: int | None = None


@dataclass(frozen=True, slots=True)
class TokenRevoked:
    """Emitted by the command line and DELETE /api/v1/tokens/{id}: the token is worth nothing from now on."""

    WIRE_NAME: ClassVar[str] = "token_revoked"
    occurred_us: int
    token_id: str
