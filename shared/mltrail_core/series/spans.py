"""Where the chunks of a metric lie, and which of the points outside chunks lie in or between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, Select, select

from mltrail_core.readmodel.tables import metric_chunks
from mltrail_core.series.series import EVERYTHING, Series, Window

_KEYS_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class Span:
    """What is known of a chunk without unpacking it."""

    number: int
    point_count: int
    first_step: int
    first_us: int
    last_step: int
    last_us: int
    lowest_us: int
    highest_us: int

    def is_within(self, window: Window) -> bool:
        """Return whether all of the chunk's points are in the window."""
        return (
            (window.first_step is None or self.first_step >= window.first_step)
            and (window.last_step is None or self.last_step <= window.last_step)
            and (window.first_us is None or self.lowest_us >= window.first_us)
            and (window.last_us is None or self.highest_us <= window.last_us)
        )


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive points of a metric: a chunk and the loose points that lie within it, or loose points alone."""

    span: Span | None
    loose: Series

    @property
    def is_chunk_alone(self) -> bool:
        """Whether the chunk is all there is."""
        return self.span is not None and not len(self.loose)


def read_spans(connection: Connection, run_id: str, key: str, window: Window = EVERYTHING) -> list[Span]:
    """Return the spans of a metric's chunks that may have points in the window, in order."""
    query = _spans().where(_COLUMNS.run_id == run_id, _COLUMNS.key == key)
    if window.first_step is not None:
        query = query.where(_COLUMNS.last_step >= window.first_step)
    if window.last_step is not None:
        query = query.where(_COLUMNS.first_step <= window.last_step)
    if window.first_us is not None:
        query = query.where(_COLUMNS.highest_us >= window.first_us)
    if window.last_us is not None:
        query = query.where(_COLUMNS.lowest_us <= window.last_us)
    return [Span(*row[1:]) for row in connection.execute(query)]


def read_spans_of_keys(connection: Connection, run_id: str, keys: Sequence[str]) -> dict[str, list[Span]]:
    """Return the spans of all chunks of these metrics of a run, in order; metrics without any are left out."""
    found: dict[str, list[Span]] = {}
    for first in range(0, len(keys), _KEYS_PER_QUERY):
        some = keys[first : first + _KEYS_PER_QUERY]
        query = _spans().where(_COLUMNS.run_id == run_id, _COLUMNS.key.in_(some))
        for row in connection.execute(query):
            found.setdefault(row[0], []).append(Span(*row[1:]))
    return found


def keys_with_chunks(connection: Connection, run_id: str) -> set[str]:
    """Return the metrics of a run that have chunks."""
    return set(connection.execute(select(_COLUMNS.key).distinct().where(_COLUMNS.run_id == run_id)).scalars())


def sweep(loose: Series, spans: Sequence[Span]) -> Iterator[Part]:
    """Give all points in order, part by part: each loose point with the chunk it lies in, or between two chunks."""
    done = 0
    for span in spans:
        first = place_of(loose, span.first_step, span.first_us)
        end = place_of(loose, span.last_step, span.last_us, is_after=True)
        if done < first:
            yield Part(None, loose.at(slice(done, first)))
        yield Part(span, loose.at(slice(first, end)))
        done = end
    if done < len(loose):
        yield Part(None, loose.at(slice(done, len(loose))))


def place_of(points: Series, step: int, time_us: int, *, is_after: bool = False) -> int:
    """Return how many points stand before this step and time, or up to it when `is_after`."""
    first, end = np.searchsorted(points.steps, step, side="left"), np.searchsorted(points.steps, step, side="right")
    times_us = points.times_us[first:end]
    return int(first + np.searchsorted(times_us, time_us, side="right" if is_after else "left"))


_COLUMNS = metric_chunks.c


def _spans() -> Select[str, int, int, int, int, int, int, int, int]:
    return select(
        _COLUMNS.key,
        _COLUMNS.number,
        _COLUMNS.point_count,
        _COLUMNS.first_step,
        _COLUMNS.first_us,
        _COLUMNS.last_step,
        _COLUMNS.last_us,
        _COLUMNS.lowest_us,
        _COLUMNS.highest_us,
    ).order_by(_COLUMNS.first_step, _COLUMNS.first_us)
