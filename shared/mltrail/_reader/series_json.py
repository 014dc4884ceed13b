"""Points of a metric in the JSON of `/api/v1/runs/{run_id}/metrics/{key}`, which the command line prints as well."""

from __future__ import annotations

from collections.abc import Mapping

from mltrail_core.errors import Unavailable
from mltrail_core.metric_block import MetricPoint


def points_of(answer: Mapping[str, object]) -> list[MetricPoint]:
    """Return the points that the three columns hold.

    Raises:
        Unavailable: they are no such columns, so whoever answered is not an mltrail of this version.
    """
    match answer:
        case {"key": str(key), "steps": list(steps), "times_us": list(times_us), "values": list(values)}:
            try:
                columns = zip(values, steps, times_us, strict=True)
                # "NaN" and "Infinity" come as texts
                return [MetricPoint(key, float(value), int(step), int(us)) for value, step, us in columns]
            except (TypeError, ValueError) as error:
                raise Unavailable(f"the answer's points of {key!r} can't be read: {error}") from error
    raise Unavailable(f"the answer holds no points: {str(answer)[:200]}; is it an mltrail of another version?")
