"""How long a run's writers may be silent before it counts as lost."""

from __future__ import annotations

from dataclasses import dataclass

LOST_AFTER_S = 120
"""Twelve marks of a trainer: a restart of the server, a stalled network or a long swap cost fewer."""


@dataclass(frozen=True, slots=True)
class Leases:
    """Silence that is let pass, in seconds, for the two kinds of writers."""

    lost_after_s: int = LOST_AFTER_S
    """Of runs that the SDK writes to, whose processes give a sign of life every ten seconds."""
    abandoned_after_s: int | None = None
    """Of all other runs, whose writers say nothing unless they have something to log; None: never lost."""
