"""Where the next page of a search begins: an opaque text that only the search that made it can read."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

from mltrail_core.errors import Invalid

_MAX_INT64 = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Offset:
    """So many results come before the page."""

    count: int


@dataclass(frozen=True, slots=True)
class AfterRun:
    """The page begins after this run, in the order newest start first, then run id."""

    started_us: int
    run_id: str


Start = Offset | AfterRun


def encode_token(what: str, start: Start) -> str:
    """Return the page token of a search for `what` (`runs`, `experiments`)."""
    place: list[int | str] = [start.count] if isinstance(start, Offset) else [start.started_us, start.run_id]
    return base64.urlsafe_b64encode(json.dumps([what, *place]).encode()).decode()


def decode_token(what: str, token: str | None) -> Start:
    """Return where the page of `token` begins; no token is the first page.

    Raises:
        Invalid: the token was not made by a search for `what`.
    """
    if not token:
        return Offset(0)
    try:
        match json.loads(base64.b64decode(token.encode(), altchars=b"-_", validate=True)):
            case [str(kind), int(count)] if kind == what and 0 <= count <= _MAX_INT64:
                return Offset(count)
            case [str(kind), int(started_us), str(run_id)] if kind == what and abs(started_us) <= _MAX_INT64:
                if "\0" not in run_id and run_id.isprintable():
                    return AfterRun(started_us, run_id)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _invalid(what, token) from error
    raise _invalid(what, token)


def _invalid(what: str, token: str) -> Invalid:
    return Invalid(f"page token {token[:100]!r} was not given out by a search for {what}; begin again without a token")
