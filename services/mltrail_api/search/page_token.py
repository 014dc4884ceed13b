"""Where the next page of a search begins: an opaque text that only the search that made it can read."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

from mltrail_core.errors import Invalid

_MAX_INT64 = 2**63 - 1
Part = int | float | str | None


@dataclass(frozen=True, slots=True)
class Offset:
    """So many results come before the page."""

    count: int


@dataclass(frozen=True, slots=True)
class After:
    """The page begins behind a result, told by parts that mean something to the search only; more than one."""

    parts: tuple[Part, ...]


Start = Offset | After


def encode_token(what: str, start: Start) -> str:
    """Return the page token of a search for `what` (`runs`, `experiments`)."""
    parts = [start.count] if isinstance(start, Offset) else start.parts
    return base64.urlsafe_b64encode(json.dumps([what, *parts]).encode()).decode()


def decode_token(what: str, token: str | None) -> Start:
    """Return where the page of `token` begins; no token is the first page.

    What an `After` holds is text without NUL, a number that databases take or None; the rest is for the search to
    look at.

    Raises:
        Invalid: the token was not made by a search for `what`.
    """
    if not token:
        return Offset(0)
    try:
        match json.loads(base64.b64decode(token.encode(), altchars=b"-_", validate=True)):
            case [str(kind), int(count)] if kind == what and 0 <= count <= _MAX_INT64:
                return Offset(count)
            case [str(kind), first, second, *others] if kind == what:
                return After(tuple(_part(part) for part in (first, second, *others)))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _invalid(what, token) from error
    raise _invalid(what, token)


def _part(part: object) -> Part:
    match part:
        case None | float():
            return part
        case int() if abs(part) <= _MAX_INT64 and not isinstance(part, bool):
            return part
        case str() if "\0" not in part:
            part.encode()  # raises a ValueError for half of a surrogate pair, which no database takes
            return part
    raise ValueError(f"{type(part).__name__} in a page token")


def _invalid(what: str, token: str) -> Invalid:
    return Invalid(f"page token {token[:100]!r} was not given out by a search for {what}; begin again without a token")
