"""What the log says of tokens that the read model does not say yet: nobody waits for the projector to be safe.

A revocation counts from the moment it is in the log, also while the projector is late, halted or not running.
"""

from __future__ import annotations

import threading
from dataclasses import replace

from mltrail_api.identity.queries import TokenRow
from mltrail_core.errors import Invalid
from mltrail_core.events import TokenCreated, TokenRevoked
from mltrail_core.ids import CONTROL
from mltrail_core.log import EventLog, LogEntry
from mltrail_core.record import decode_record


class ControlTail:
    """The token events of `control` past what is projected. Reads each record of the log once at most."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._read_to = 0
        self._found: list[tuple[int, int, TokenCreated | TokenRevoked]] = []
        """(index, appended_us, event), in the order of the log."""

    def brought_up(self, token: TokenRow | None, token_id: str, projected_index: int) -> TokenRow | None:
        """Return the token as the log's end leaves it, given the read model's row at `projected_index`.

        Raises:
            Unavailable: the log can't be reached.
        """
        with self._lock:
            self._read_on(projected_index)
            found = [item for item in self._found if item[2].token_id == token_id]
        for _, appended_us, event in found:
            if isinstance(event, TokenCreated):
                token = token or TokenRow(
                    token_id, event.user, event.label, event.secret_sha256, appended_us, event.expires_us, None
                )
            elif token is not None and token.revoked_us is None:
                token = replace(token, revoked_us=appended_us)
        return token

    def _read_on(self, projected_index: int) -> None:
        self._found = [item for item in self._found if item[0] > projected_index]
        self._read_to = max(self._read_to, projected_index)
        while entries := self._log.read(CONTROL, after=self._read_to):
            for entry in entries:
                self._found += _token_events(entry)
            self._read_to = entries[-1].index


def _token_events(entry: LogEntry) -> list[tuple[int, int, TokenCreated | TokenRevoked]]:
    try:
        events = decode_record(entry.frozen).events
    except Invalid:
        return []  # the fold rejects it as a whole
    about_tokens = [event for event in events if isinstance(event, TokenCreated | TokenRevoked)]
    return [(entry.index, entry.appended_us, event) for event in about_tokens]
