"""How much one page of a search may hold."""

from __future__ import annotations

from mltrail_core.errors import Invalid

DEFAULT_RESULTS = 1_000
MAX_RESULTS = 50_000


def check_max_results(max_results: int) -> None:
    """Raise unless `max_results` is allowed; the limits are MLflow's.

    Raises:
        Invalid: it is not 1 to 50,000.
    """
    if not 1 <= max_results <= MAX_RESULTS:
        raise Invalid(f"max_results is {max_results}; it must be a number from 1 to {MAX_RESULTS}")
