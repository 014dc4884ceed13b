"""The mark of a field that may hold personal or secret words, and so must be erasable."""

from __future__ import annotations

from typing import Annotated


class Detached:
    """Marks a field whose value lies in the record's detachable part; what hashes cover holds sha256(salt ‖ value)."""


FreeText = Annotated[str, Detached()]
"""Text that somebody may one day ask to erase: values of params and tags, descriptions, notes, names of users."""

ERASED = "‹erased›"
"""What readers see in place of an erased text."""

TextPairs = tuple[tuple[str, FreeText], ...]
"""Tags as (key, value) pairs."""
