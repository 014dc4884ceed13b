"""From a token's text to its user: looked up in the read model and the log's end, remembered for a few seconds."""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog
from sqlalchemy import select

from mltrail_api.identity.control_tail import ControlTail
from mltrail_api.identity.identity import Identity
from mltrail_api.identity.queries import TokenRow, load_token
from mltrail_api.visibility import Visibility
from mltrail_core.clock import now_us
from mltrail_core.errors import Unauthenticated, Unavailable
from mltrail_core.ids import CONTROL
from mltrail_core.log import EventLog
from mltrail_core.readmodel.store import ReadModel
from mltrail_core.readmodel.tables import positions
from mltrail_core.token import is_token_of, token_id_in

_logger = structlog.get_logger(__name__)

REMEMBERED_S = 5.0
"""A worker looks a token up again after this long, so a revocation takes effect everywhere within it. A shorter time
would put a read of the database before more of the requests, and there are thousands a second."""
MAX_REMEMBERED = 10_000
_UNKNOWN = "the API token is not valid; make sure that it was copied whole, or ask for a new one"


@dataclass(frozen=True, slots=True)
class _Remembered:
    token: TokenRow
    looked_up_s: float


class TokenVerifier:
    """The tokens of one API worker. Only such that exist are remembered: made-up ones can't fill the memory."""

    def __init__(self, log: EventLog, read_model: ReadModel, visibility: Visibility) -> None:
        self._read_model = read_model
        self._visibility = visibility
        self._tail = ControlTail(log)
        self._remembered: dict[str, _Remembered] = {}
        self._forgotten = 0

    async def identity_of(self, text: str) -> Identity:
        """Return whose token the text is.

        Raises:
            Unauthenticated: it is no token, an unknown one, or one that is revoked or expired. Only who holds the whole
                token is told which.
            Unavailable: the read model can't be reached.
        """
        token_id = token_id_in(text)
        if token_id is None:
            raise Unauthenticated(_UNKNOWN)
        return _identity(text, token_id, self._remembered_row(token_id) or await self._look_up(token_id))

    def remembered(self, text: str) -> Identity | None:
        """Return whose token the text is, or None when `identity_of` has to look it up.

        Raises:
            Unauthenticated: as `identity_of`.
        """
        token_id = token_id_in(text)
        token = None if token_id is None else self._remembered_row(token_id)
        return None if token is None or token_id is None else _identity(text, token_id, token)

    def forget(self, token_id: str) -> None:
        """Look the token up anew from now on, also where a look-up is under way."""
        self._forgotten += 1
        self._remembered.pop(token_id, None)

    def _remembered_row(self, token_id: str) -> TokenRow | None:
        found = self._remembered.get(token_id)
        return found.token if found and time.monotonic() - found.looked_up_s < REMEMBERED_S else None

    async def _look_up(self, token_id: str) -> TokenRow | None:
        # The age counts from before the look-up, and what was forgotten during it is not remembered after it.
        started_s, forgotten = time.monotonic(), self._forgotten
        token = await self._visibility.run(lambda: self._read(token_id))
        if token is None:
            self._remembered.pop(token_id, None)
        elif forgotten == self._forgotten:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[token_id] = _Remembered(token, started_s)
        return token

    def _read(self, token_id: str) -> TokenRow | None:
        with self._read_model.reading() as connection:
            token = load_token(connection, token_id)
            index = connection.execute(select(positions.c["index"]).where(positions.c.partition == CONTROL)).scalar()
        try:
            return self._tail.brought_up(token, token_id, index or 0)
        except Unavailable as error:
            # Without its log a server still reads; what was revoked last may be missed until the log is back.
            _logger.warning("tokens read without the log", action="tokens_without_log", error=str(error))
            return token


def _identity(text: str, token_id: str, token: TokenRow | None) -> Identity:
    if token is None or not is_token_of(text, token.secret_sha256):
        raise Unauthenticated(_UNKNOWN)
    fault = token.fault(now_us())
    if fault is not None:
        raise Unauthenticated(f"the API token {token_id} is {fault}; ask for a new one")
    return Identity(token.user, token_id)
