"""What is answered about one series, whatever the format: its points, part after part, as often as asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection

from mltrail_api.series.downsampling import downsampled
from mltrail_core.series import Series, Window, outline, stream_series

PART_POINTS = 1 << 14
"""At most so many points are encoded at a time: encoding holds the interpreter, 7 ms for these, and others wait."""
_BUCKETS_OF_POINT = 2
"""MinMaxLTTB chooses from four points for each one it keeps: the extremes of two buckets."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A series of a run. `parts` reads it from the beginning each time it is called.

    `total` is how many points the run has within the window that was asked for, `points` how many are answered; both
    are None when all of them are, and nobody has counted them yet.
    """

    run_id: str
    key: str
    parts: Callable[[], Iterator[Series]]
    points: int | None = None
    total: int | None = None

    def small_parts(self) -> Iterator[Series]:
        """Yield the points in parts of a size that is encoded at a time."""
        for part in self.parts():
            for start in range(0, len(part), PART_POINTS):
                yield part.at(slice(start, start + PART_POINTS))


def whole_reading(
    connection: Connection, run_id: str, key: str, window: Window, loose: Series | None = None
) -> Reading:
    """Return all points of a metric within a window, read from `connection` part by part; one part alone is kept.

    Args:
        loose: what `read_loose` found of the metric, when several of the run are read.
    """
    kept: list[Series] = []

    def parts() -> Iterator[Series]:
        if kept:
            return iter(kept)
        return remembering(stream_series(connection, run_id, key, window, loose))

    def remembering(stream: Iterator[Series]) -> Iterator[Series]:
        beginning = list(islice(stream, 2))
        if len(beginning) == 1:
            kept.append(beginning[0])
        yield from beginning
        yield from stream

    return Reading(run_id, key, parts)


def downsampled_reading(
    connection: Connection, run_id: str, key: str, window: Window, points: int, loose: Series | None = None
) -> Reading:
    """Return at most `points` points of a metric within a window; see `downsampled` and `whole_reading`."""
    seen = outline(connection, run_id, key, window, _BUCKETS_OF_POINT * points, loose)
    series = downsampled(seen.series, points)
    return Reading(run_id, key, lambda: iter([series]), len(series), seen.total)
