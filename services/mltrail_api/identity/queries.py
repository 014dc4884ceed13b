"""The rows of API tokens, and the users that tokens stand for."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from mltrail_core.readmodel.tables import runs, tokens
from mltrail_core.token import token_of_stand_in


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token as the log says it is."""

    token_id: str
    user: str
    label: str
    secret_sha256: str = field(repr=False)
    created_us: int
    expires_us: int | None
    revoked_us: int | None

    def fault(self, now_us: int) -> str | None:
        """Return why the token is worth nothing (`revoked`, `expired`), or None."""
        if self.revoked_us is not None:
            return "revoked"
        if self.expires_us is not None and self.expires_us <= now_us:
            return "expired"
        return None


_COLUMNS = (
    tokens.c.token_id,
    tokens.c.user,
    tokens.c.label,
    tokens.c.secret_sha256,
    tokens.c.created_us,
    tokens.c.expires_us,
    tokens.c.revoked_us,
)


def load_token(connection: Connection, token_id: str) -> TokenRow | None:
    """Return one token, or None."""
    row = connection.execute(select(*_COLUMNS).where(tokens.c.token_id == token_id)).first()
    return None if row is None else TokenRow(*row)


def load_tokens(connection: Connection, user: str | None = None) -> list[TokenRow]:
    """Return the tokens of a user or of all, the newest first, revoked and expired ones too."""
    query = select(*_COLUMNS).order_by(tokens.c.created_us.desc(), tokens.c.token_id)
    if user is not None:
        query = query.where(tokens.c.user == user)
    return [TokenRow(*row) for row in connection.execute(query)]


def actor_of_run(connection: Connection, run_id: str) -> tuple[str, str] | None:
    """Return who created a run and how that is known (`verified`, `claimed`), or None when there is no such run."""
    row = connection.execute(select(runs.c.actor, runs.c.actor_known).where(runs.c.run_id == run_id)).first()
    if row is None:
        return None
    actor, known = row
    # The fold of a run's partition sees no tokens; it writes what stands for one.
    token_id = token_of_stand_in(actor) if known == "verified" else None
    if token_id is not None:
        token = load_token(connection, token_id)
        actor = actor if token is None else token.user
    return actor, known
