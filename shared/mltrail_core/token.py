"""API tokens as text: how one is made, recognised and hashed, and how a record says which one its sender showed.

A token is `mlt_<id>_<secret>`: 16 hex digits that name it in the log, and 43 characters that are 256 random bits. The
log holds the plain SHA-256 of it. Salts and slow hashes protect secrets that people choose, by making each guess dear;
here there is nothing to guess: 2^255 tries are beyond everybody, whatever a try costs, and no two tokens are equal, so
a table computed ahead is of no use either. A slow hash would only cost us milliseconds on every request.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

MAX_USER_CHARACTERS = 250
MAX_LABEL_CHARACTERS = 250
ATTESTED_BY_TOKEN = "token"
"""`Attestation.how` of a record whose sender showed a token; `reference` is the token's id."""

_STAND_IN = "token:"
_TOKEN = re.compile(r"mlt_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")
_TOKEN_ID = re.compile(r"[0-9a-f]{16}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made. `text` is the secret: shown once, kept nowhere."""

    token_id: str
    text: str

    def __repr__(self) -> str:
        return f"NewToken({self.token_id!r})"  # a repr ends in logs


def new_token() -> NewToken:
    """Return a fresh token of 256 random bits."""
    token_id = secrets.token_hex(8)
    return NewToken(token_id, f"mlt_{token_id}_{secrets.token_urlsafe(32)}")


def token_id_in(text: str) -> str | None:
    """Return the id that a token's text names, or None when the text has not the form of a token."""
    found = _TOKEN.fullmatch(text)
    return found[1] if found else None


def token_hash(text: str) -> str:
    """Return the lower-case hex SHA-256 of a token's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def is_token_of(text: str, secret_sha256: str) -> bool:
    """Return whether the text is the token with this hash; takes as long for every wrong one."""
    return hmac.compare_digest(token_hash(text), secret_sha256)


def token_fault(token_id: str, secret_sha256: str) -> str | None:
    """Return what is wrong with the id or the hash of a new token, or None."""
    if not _TOKEN_ID.fullmatch(token_id):
        return f"the token's id is {token_id[:100]!r}; expected 16 hex digits"
    if not _SHA256.fullmatch(secret_sha256):
        return "the token's hash is not 64 lower-case hex digits"
    return None


def user_fault(user: str) -> str | None:
    """Return what is wrong with the name of a token's user, or None."""
    if not user or user != user.strip():
        return f"the user {user[:100]!r} is empty or begins or ends with a space"
    if len(user) > MAX_USER_CHARACTERS:
        return f"the user's name has {len(user)} characters; at most {MAX_USER_CHARACTERS} are allowed"
    if not user.isprintable():
        return f"the user {user[:100]!r} holds a control character"
    if user.startswith(_STAND_IN):
        return f"the user {user[:100]!r} begins with {_STAND_IN!r}, which stands for a token in the read model"
    return None


def label_fault(label: str) -> str | None:
    """Return what is wrong with the label of a token, or None."""
    if len(label) > MAX_LABEL_CHARACTERS:
        return f"the label has {len(label)} characters; at most {MAX_LABEL_CHARACTERS} are allowed"
    if not label.isprintable():
        return f"the label {label[:100]!r} holds a control character"
    return None


def stand_in(token_id: str) -> str:
    """Return what stands for the token's user in rows of partitions that can't see tokens: `token:<id>`."""
    return _STAND_IN + token_id


def token_of_stand_in(actor: str) -> str | None:
    """Return the id of the token that an actor's name stands for, or None when it is a name."""
    return actor[len(_STAND_IN) :] if actor.startswith(_STAND_IN) else None
