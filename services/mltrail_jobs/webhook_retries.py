"""When a delivery that failed is tried again: a pure policy; the clock and the dice are the caller's."""

from __future__ import annotations

from dataclasses import dataclass

MAX_ATTEMPTS = 10
FIRST_PAUSE_S = 1.0
PAUSE_FACTOR = 3.0
MAX_PAUSE_S = 3600.0
"""1 s, 3 s, 9 s, … an hour: ten attempts reach over about two and a half hours."""
JITTER = 0.25
"""A pause is up to this part shorter or longer, so that what failed together does not come back together."""

_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a delivery is tried, and how long the pauses between are."""

    max_attempts: int = MAX_ATTEMPTS
    first_pause_s: float = FIRST_PAUSE_S
    max_pause_s: float = MAX_PAUSE_S

    def pause_s(self, attempts: int, retry_after_s: float | None, dice: float) -> float | None:
        """Return how long to wait after `attempts` failed ones, or None when it is given up.

        Args:
            attempts: those of this turn, the one that failed a moment ago among them.
            retry_after_s: what the receiver asked for; it is heeded up to the longest pause.
            dice: evenly distributed from 0 to 1.
        """
        if attempts >= self.max_attempts:
            return None
        grown = self.first_pause_s * PAUSE_FACTOR ** min(attempts - 1, 50)
        wanted = max(min(grown, self.max_pause_s), min(retry_after_s or 0.0, self.max_pause_s))
        return wanted * (1 + JITTER * (2 * dice - 1)) if retry_after_s is None else wanted * (1 + JITTER * dice)


def is_worth_retrying(status_code: int) -> bool:
    """Return whether a receiver that answered this may take the same request later: 429 and 5xx."""
    return status_code == _TOO_MANY_REQUESTS or status_code >= _SERVER_ERROR
