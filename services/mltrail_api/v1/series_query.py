"""What all questions about series share: window, format of the answer, how fresh it is, and what is not there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, StringConstraints

from mltrail_api.mlflow.endpoint import CONSISTENCY_HEADER
from mltrail_api.series.formats import ARROW, CSV, Format
from mltrail_api.visibility import EVENTUAL, RUN_BOUND_S, Freshness, Seen
from mltrail_core.errors import Invalid
from mltrail_core.ids import CONTROL, partition_of
from mltrail_core.series import Window

MIN_INT64, MAX_INT64 = -(2**63), 2**63 - 1
MAX_POINTS = 100_000
"""Of one series in a downsampled answer; no screen shows more."""

Consistency = Literal["current", "eventual"]
Number = float | Literal["NaN", "Infinity", "-Infinity"]
"""What JSON has no number for is a word."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]
"""An id or a key; no database keeps a NUL character."""

FirstStep = Annotated[int | None, Query(ge=MIN_INT64, le=MAX_INT64, description="Only this step and later ones.")]
LastStep = Annotated[int | None, Query(ge=MIN_INT64, le=MAX_INT64, description="Only this step and earlier ones.")]
FirstUs = Annotated[int | None, Query(ge=MIN_INT64, le=MAX_INT64, description="Only this time (µs UTC) and later.")]
LastUs = Annotated[int | None, Query(ge=MIN_INT64, le=MAX_INT64, description="Only this time (µs UTC) and earlier.")]
Points = Annotated[
    int | None,
    Query(ge=4, le=MAX_POINTS, description="At most so many points, chosen so that spikes survive; all by default."),
]
AskedFormat = Annotated[
    Format | None, Query(description="What `Accept` says by default, which is JSON unless it names another of these.")
]


class SeriesPoints(BaseModel):
    """The points of one metric of a run by (step, time, value): three columns of `points` entries each.

    `total` is how many points the run has within the bounds that were asked for; `points` is smaller when the answer is
    downsampled. An exact duplicate counts once. Times are µs UTC by the producer's clock.
    """

    run_id: str
    key: str
    steps: list[int]
    times_us: list[int]
    values: list[Number]
    points: int
    total: int


OTHER_CONTENT: dict[str, Any] = {
    ARROW: {"schema": {"type": "string", "format": "binary"}},
    CSV: {"schema": {"type": "string"}},
}
"""Of the answers in OpenAPI."""


def window_of(
    first_step: int | None, last_step: int | None, first_us: int | None = None, last_us: int | None = None
) -> Window:
    """Return the window between closed bounds.

    Raises:
        Invalid: a first bound is greater than its last.
    """
    for what, first, last in (("step", first_step, last_step), ("us", first_us, last_us)):
        if first is not None and last is not None and first > last:
            raise Invalid(f"first_{what} {first} is greater than last_{what} {last}; both bounds are included")
    return Window(first_step, last_step, first_us, last_us)


def freshness_of_runs(run_ids: Iterable[str], consistency: Consistency) -> Freshness:
    """Return what a read of several runs waits for."""
    if consistency == "eventual":
        return EVENTUAL
    return Freshness({CONTROL, *(partition_of(run_id) for run_id in run_ids)}, RUN_BOUND_S)


def consistency_headers(seen: Seen[Any]) -> dict[str, str]:
    """Return the header that says whether what was seen is current."""
    return {CONSISTENCY_HEADER: "current" if seen.is_current else "stale"}
