"""Tokens for tests, made as the command line makes them: by an event on the log itself."""

from __future__ import annotations

from dataclasses import dataclass

from mltrail_core.clock import now_us
from mltrail_core.events import Event, TokenCreated, TokenRevoked
from mltrail_core.ids import CONTROL, new_producer_id
from mltrail_core.log import EventLog, NewRecord
from mltrail_core.record import Actor, Record, freeze_record
from mltrail_core.token import new_token, token_hash


@dataclass(frozen=True, slots=True)
class MadeToken:
    """A token and its id."""

    token_id: str
    text: str

    @property
    def bearer(self) -> dict[str, str]:
        """The header that shows it."""
        return {"Authorization": f"Bearer {self.text}"}


def make_token(log: EventLog, user: str, *, expires_us: int | None = None) -> MadeToken:
    """Append a new token of a user to the log."""
    token = new_token()
    append_to_control(log, TokenCreated(now_us(), token.token_id, user, token_hash(token.text), "test", expires_us))
    return MadeToken(token.token_id, token.text)


def revoke_token(log: EventLog, token: MadeToken) -> None:
    """Append the token's revocation to the log, as another process would."""
    append_to_control(log, TokenRevoked(now_us(), token.token_id))


def append_to_control(log: EventLog, event: Event) -> None:
    """Append one event as a producer of its own."""
    record = Record(CONTROL, new_producer_id(), 1, Actor("operator"), (event,))
    log.append([NewRecord(CONTROL, freeze_record(record))])
