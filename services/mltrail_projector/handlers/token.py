"""What the events of API tokens change. A revoked token stays, so that what was done with it keeps its user."""

from __future__ import annotations

from mltrail_core.events import TokenCreated, TokenRevoked
from mltrail_core.readmodel import tables
from mltrail_core.rules import Reason
from mltrail_core.token import label_fault, token_fault, user_fault
from mltrail_projector.fold import Fold, Place, Reject, refuse


def created(event: TokenCreated, fold: Fold, place: Place) -> None:
    """A token is known by its id and hash."""
    refuse(Reason.INVALID, token_fault(event.token_id, event.secret_sha256))
    refuse(Reason.INVALID, user_fault(event.user))
    refuse(Reason.INVALID, None if event.label is None else label_fault(event.label))
    if fold.rows.get(tables.tokens, event.token_id) is not None:
        raise Reject(Reason.ALREADY_EXISTS, f"there is a token {event.token_id} already")
    fold.rows.put(
        tables.tokens,
        {
            "token_id": event.token_id,
            "user": event.user,
            "label": event.label,
            "secret_sha256": event.secret_sha256,
            "created_us": place.appended_us,
            "expires_us": event.expires_us,
            "revoked_us": None,
            "actor": place.actor,
            "actor_known": place.actor_known,
        },
    )


def revoked(event: TokenRevoked, fold: Fold, place: Place) -> None:
    """The token is worth nothing; revoking it again changes nothing."""
    row = fold.rows.get(tables.tokens, event.token_id)
    if row is None:
        raise Reject(Reason.UNKNOWN_SUBJECT, f"there is no token {event.token_id[:100]!r}")
    if row["revoked_us"] is None:
        fold.rows.update(tables.tokens, row, revoked_us=place.appended_us)
