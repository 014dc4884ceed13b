"""Series as an Arrow IPC stream, 30 times as quick to write as JSON; pyarrow, polars, DuckDB and JavaScript read it.

nanoarrow writes it: 3 MB, where pyarrow is 150 MB on the disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import nanoarrow as na
import numpy as np
from nanoarrow.c_array_stream import CArrayStream
from nanoarrow.ipc import StreamWriter

from mltrail_api.mlflow.wire import json_bytes
from mltrail_api.series.reading import Reading
from mltrail_core.series import Series

METADATA_KEY = b"mltrail"

_NUMBERS = {
    "step": na.int64(nullable=False),
    "time_us": na.int64(nullable=False),
    "value": na.float64(nullable=False),
}
_NAMES = {"run_id": na.string(nullable=False), "key": na.string(nullable=False)}


class _Written:
    """A file that gives away what was written to it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, content: memoryview) -> int:
        """Keep a copy: the writer reuses its buffer."""
        self._parts.append(bytes(content))
        return len(content)

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        content = b"".join(self._parts)
        self._parts.clear()
        return content


def arrow_stream(readings: Iterable[Reading], about: dict[str, object], *, is_named: bool) -> Iterator[bytes]:
    """Yield a stream of record batches of step, time_us and value; run_id and key stand before them when `is_named`.

    Args:
        readings: the series, one after the other.
        about: stands as JSON in the schema's metadata, under `mltrail`.
        is_named: whether there may be several series.
    """
    columns = {**_NAMES, **_NUMBERS} if is_named else _NUMBERS
    schema = na.c_schema(na.struct(columns, nullable=False)).modify(metadata={METADATA_KEY: json_bytes(about)})
    written = _Written()
    writer = StreamWriter.from_writable(written)
    try:
        writer.write_stream(CArrayStream.from_c_arrays([], schema))  # the schema, also when no batch follows
        for reading in readings:
            names = (reading.run_id, reading.key) if is_named else ()
            for part in reading.small_parts():
                writer.write_array(_batch(schema, part, names))
                yield written.taken()
        writer.close()
        yield written.taken()
    finally:
        writer.release()


def _batch(schema: object, part: Series, names: tuple[str, ...]) -> object:
    children = [
        *(_repeated(name, len(part)) for name in names),
        na.c_array(np.ascontiguousarray(part.steps), na.int64()),
        na.c_array(np.ascontiguousarray(part.times_us), na.int64()),
        na.c_array(np.ascontiguousarray(part.values), na.float64()),
    ]
    return na.c_array_from_buffers(schema, length=len(part), buffers=[None], children=children)


def _repeated(name: str, count: int) -> object:
    """Return a column that says the same text in each row."""
    text = name.encode()
    offsets = np.arange(count + 1, dtype=np.int32) * len(text)
    return na.c_array_from_buffers(
        na.string(nullable=False),
        length=count,
        buffers=[None, offsets.astype(np.int32), np.frombuffer(text * count, dtype=np.uint8)],
    )
