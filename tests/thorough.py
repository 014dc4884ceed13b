"""How much tests try: what the suite shows once, or all of it.

The marker `thorough` is on tests that show on another variant what the suite shows once, or that cost more than they
add to it; `pytest` leaves them out, `pytest -m ''` runs them. The expression of `-m` decides of random examples too, so
that one command tries all there is.
"""

from __future__ import annotations

import pytest

_LEAVES_OUT = "not thorough"
_is_thorough = False


def decide(config: pytest.Config) -> None:
    """Let `examples` return the larger number unless `-m` leaves out thorough tests, as it does by default."""
    global _is_thorough
    _is_thorough = _LEAVES_OUT not in config.option.markexpr


def examples(usually: int, thoroughly: int) -> int:
    """Return how many random examples a property is tried with."""
    return thoroughly if _is_thorough else usually
