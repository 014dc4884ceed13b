"""`/api/v1/tokens` and `/api/v1/identity`: a user's own tokens. Those of others are the command line's, on the log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from mltrail_api.identity.identity import identity_of, required_identity
from mltrail_api.identity.queries import TokenRow, load_token, load_tokens
from mltrail_api.services import Services
from mltrail_api.visibility import CONTROL_ONLY
from mltrail_core.clock import now_us
from mltrail_core.errors import Invalid
from mltrail_core.events import TokenCreated, TokenRevoked
from mltrail_core.ids import CONTROL
from mltrail_core.token import MAX_LABEL_CHARACTERS, label_fault, new_token, token_hash

_MAX_US = 2**53 - 1

router = APIRouter()


class Identified(BaseModel):
    """Who the server takes the caller for. `known` is `verified` by a token; without one there is no name."""

    user: str | None
    known: str
    token_id: str | None


class NewTokenRequest(BaseModel):
    """What a new token is for, and when it ends by itself (µs UTC; never, when left out)."""

    model_config = ConfigDict(extra="forbid", strict=True)

    label: str = Field(default="", max_length=MAX_LABEL_CHARACTERS)
    expires_us: int | None = Field(default=None, ge=0, le=_MAX_US)


class TokenInfo(BaseModel):
    """A token without its secret, which nobody has but who was shown it."""

    token_id: str
    user: str
    label: str
    created_us: int
    expires_us: int | None
    revoked_us: int | None
    is_valid: bool


class CreatedToken(TokenInfo):
    """A new token; `token` is shown this once."""

    token: str


class TokenList(BaseModel):
    """The caller's tokens, the newest first."""

    tokens: list[TokenInfo]


@router.get("/identity", summary="Say who the caller is")
async def identity(request: Request) -> Identified:
    """Answer whose token the request shows."""
    found = identity_of(request.scope)
    if found is None:
        return Identified(user=None, known="claimed", token_id=None)
    return Identified(user=found.user, known="verified", token_id=found.token_id)


@router.post("/tokens", summary="Create a token of the caller")
async def create_token(request: Request, response: Response, wanted: NewTokenRequest) -> CreatedToken:
    """Create a token of the user whose token the request shows; the answer is the only place that its secret is in.

    Raises:
        Unauthenticated: the request shows no token.
        Invalid: it would be expired already, or the label can't be shown.
    """
    services, caller = _services(request), required_identity(request.scope)
    created_us = now_us()
    fault = label_fault(wanted.label)
    if fault is not None:
        raise Invalid(fault)
    if wanted.expires_us is not None and wanted.expires_us <= created_us:
        raise Invalid(f"expires_us is {wanted.expires_us}, which has passed; expected µs UTC after {created_us}")
    token = new_token()
    created = TokenCreated(
        created_us, token.token_id, caller.user, token_hash(token.text), wanted.label, wanted.expires_us
    )
    written = await services.appender.append(CONTROL, [created], caller.actor)
    await services.visibility.outcome(written)
    row = TokenRow(
        token.token_id,
        caller.user,
        wanted.label,
        created.secret_sha256,
        written.appended.appended_us,
        wanted.expires_us,
        None,
    )
    response.headers["Cache-Control"] = "no-store"
    return CreatedToken(**_info(row).model_dump(), token=token.text)


@router.get("/tokens", summary="List the caller's tokens")
async def list_tokens(request: Request) -> TokenList:
    """List the tokens of the user whose token the request shows.

    Raises:
        Unauthenticated: the request shows no token.
    """
    services, user = _services(request), required_identity(request.scope).user
    seen = await services.visibility.read(lambda connection: load_tokens(connection, user), CONTROL_ONLY)
    return TokenList(tokens=[_info(row) for row in seen.value])


@router.delete("/tokens/{token_id}", summary="Revoke a token of the caller")
async def revoke_token(request: Request, token_id: Annotated[str, Path(max_length=100)]) -> TokenInfo:
    """Revoke a token of the user whose token the request shows, which may be that one; again changes nothing.

    Raises:
        Unauthenticated: the request shows no token.
        NotFound: the user has no such token.
    """
    services, caller = _services(request), required_identity(request.scope)
    seen = await services.visibility.read(lambda connection: load_token(connection, token_id), CONTROL_ONLY)
    if seen.value is None or seen.value.user != caller.user:
        raise seen.absence(f"{caller.user} has no token {token_id}; GET /api/v1/tokens lists those there are")
    revoked_us = seen.value.revoked_us
    if revoked_us is None:
        written = await services.appender.append(CONTROL, [TokenRevoked(now_us(), token_id)], caller.actor)
        services.tokens.forget(token_id)
        await services.visibility.outcome(written)
        revoked_us = written.appended.appended_us
    return _info(seen.value).model_copy(update={"revoked_us": revoked_us, "is_valid": False})


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _info(row: TokenRow) -> TokenInfo:
    return TokenInfo(
        token_id=row.token_id,
        user=row.user,
        label=row.label,
        created_us=row.created_us,
        expires_us=row.expires_us,
        revoked_us=row.revoked_us,
        is_valid=row.fault(now_us()) is None,
    )
