"""A metric as it is stored, through a window: chunks, unpacked when needed, and the points outside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, select

from mltrail_core.readmodel.tables import metric_chunks
from mltrail_core.series.chunk import BUCKET_POINTS, points_of
from mltrail_core.series.loose import read_loose
from mltrail_core.series.series import EVERYTHING, Series, Window, merged
from mltrail_core.series.spans import Part, read_spans, sweep
from mltrail_core.series.thinning import thinned

_CHUNKS_PER_QUERY = 8
"""So many chunks are in memory at a time, packed: 4 MB."""
_PYRAMIDS_PER_QUERY = 500


class StoredSeries:
    """One metric of a run as of the connection's snapshot. Its parts lie one after the other by (step, time)."""

    def __init__(
        self,
        connection: Connection,
        run_id: str,
        key: str,
        window: Window = EVERYTHING,
        loose: Series | None = None,
    ) -> None:
        """Read where the chunks lie, and the points outside them unless they are given as `loose`."""
        self._connection = connection
        self._is_its = (metric_chunks.c.run_id == run_id) & (metric_chunks.c.key == key)
        self._window = window
        loose = read_loose(connection, run_id, [key])[key] if loose is None else loose
        self.parts = list(sweep(loose.within(window), read_spans(connection, run_id, key, window)))

    def at(self, places: Sequence[int]) -> list[Part]:
        """Return the parts at these places."""
        return [self.parts[place] for place in places]

    def is_whole_chunk(self, part: Part) -> bool:
        """Return whether the part is a chunk, all of it in the window, and nothing else."""
        return part.is_chunk_alone and part.span is not None and part.span.is_within(self._window)

    def points(self, parts: Sequence[Part]) -> Iterator[Series]:
        """Give the points of each of these parts that are in the window; a few chunks are in memory at a time."""
        for first in range(0, len(parts), _CHUNKS_PER_QUERY):
            some = parts[first : first + _CHUNKS_PER_QUERY]
            packed = self._packed(some, metric_chunks.c["columns"])
            for part in some:
                if part.span is None:
                    yield part.loose
                else:
                    yield merged(points_of(packed[part.span.number]), part.loose).within(self._window)

    def pyramids(self, parts: Sequence[Part]) -> Iterator[Series]:
        """Give the extremes of each of these chunks, for parts that are whole chunks."""
        for first in range(0, len(parts), _PYRAMIDS_PER_QUERY):
            some = parts[first : first + _PYRAMIDS_PER_QUERY]
            packed = self._packed(some, metric_chunks.c.pyramid)
            for part in some:
                pyramid = b"" if part.span is None else packed[part.span.number]
                if pyramid:
                    yield points_of(pyramid)
                else:  # a short chunk
                    yield from (thinned(points, BUCKET_POINTS) for points in self.points([part]))

    def _packed(self, parts: Sequence[Part], column: ColumnElement[bytes]) -> dict[int, bytes]:
        numbers = [part.span.number for part in parts if part.span is not None]
        if not numbers:
            return {}
        query = select(metric_chunks.c.number, column).where(self._is_its, metric_chunks.c.number.in_(numbers))
        return {number: packed for number, packed in self._connection.execute(query)}
