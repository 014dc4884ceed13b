"""Pages of searches that count how many results came before."""

from __future__ import annotations

from mltrail_api.search.page_token import Offset, decode_token
from mltrail_core.errors import Invalid


def page_size(max_results: int, limit: int) -> int:
    """Return `max_results`; `Invalid` unless it is 1 to `limit`."""
    if not 1 <= max_results <= limit:
        raise Invalid(
            f"Invalid value {max_results} for parameter 'max_results' supplied: it must be a number from 1 to {limit}"
        )
    return max_results


def page_offset(what: str, token: str) -> int:
    """Return how many results of a search for `what` come before the page of `token`.

    Raises:
        Invalid: the token was not made by such a search.
    """
    start = decode_token(what, token)
    if not isinstance(start, Offset):
        raise Invalid(f"the page token is none of a search for {what}; begin again without a token")
    return start.count
