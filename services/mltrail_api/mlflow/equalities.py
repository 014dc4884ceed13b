"""Filters that are equalities joined by AND: all that logged models and the registry are searched by so far."""

from __future__ import annotations

import re
from collections.abc import Collection

from mltrail_core.errors import Invalid

_CLAUSE = re.compile(
    r"""\s*(?:(?P<is_no_prompt>tags?\.`mlflow\.prompt\.is_prompt`\s*!=\s*'true')
        |(?:attributes?\.)?(?P<key>\w+)\s*=\s*(?P<value>'[^']*'|"[^"]*"))\s*(?P<joint>AND\b|\Z)""",
    re.VERBOSE | re.IGNORECASE,
)
"""The clause on the prompt tag is what MLflow's client adds to every search for models; no model here is a prompt."""


def parse_equalities(text: str, keys: Collection[str]) -> dict[str, str]:
    """Return the value that each key has to have.

    Raises:
        Invalid: the filter holds anything but `key = 'value'` joined by AND, with the keys allowed, each once.
    """
    wanted: dict[str, str] = {}
    place, is_open = 0, bool(text.strip())
    while is_open:
        found = _CLAUSE.match(text, place)
        key = found["key"] if found else None
        if found is None or (key is not None and (key not in keys or key in wanted)):
            expected = " or ".join(f"{name} = 'value'" for name in keys)
            raise Invalid(
                f"Invalid filter at character {place}: {text[place : place + 200]!r}. Expected {expected}, each once, "
                "joined by AND; nothing else is understood here yet"
            )
        if key is not None:
            wanted[key] = found["value"][1:-1]
        place, is_open = found.end(), bool(found["joint"])
    return wanted
