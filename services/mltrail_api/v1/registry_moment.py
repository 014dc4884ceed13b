"""Moments as people write them: the `as_of` of look-ups."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mltrail_api.v1.registry_states import NOW_US
from mltrail_core.errors import Invalid

_EARLIEST_US = 10**14
"""1973: smaller numbers are seconds or milliseconds that somebody took for µs."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment_us(as_of: str | None) -> int:
    """Return the moment that a text names, in µs since 1970; None is now.

    Raises:
        Invalid: it is neither an ISO 8601 time nor a number of µs after 1973.
    """
    if as_of is None:
        return NOW_US
    if as_of.isascii() and as_of.isdecimal():
        at_us = int(as_of) if len(as_of) < 20 else NOW_US + 1
        if not _EARLIEST_US <= at_us <= NOW_US:
            raise Invalid(f"as_of is {as_of[:100]}, expected µs since 1970, such as 1750000000000000")
        return at_us
    try:
        # A '+' that was not encoded arrives as a space.
        moment = datetime.fromisoformat(as_of.strip().replace(" +", "+").replace(" ", "+" if "T" in as_of else "T"))
    except ValueError as error:
        raise Invalid(
            f"as_of is {as_of[:100]!r}, expected an ISO 8601 time, such as 2026-05-01T12:00:00Z, or µs since 1970"
        ) from error
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (moment - _EPOCH) // timedelta(microseconds=1)
