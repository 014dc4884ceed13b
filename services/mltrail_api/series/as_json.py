"""Series as JSON: three columns each, so that pandas, a chart or `zip` take them as they are.

Columns stand one after the other, while a series is read point by point. So a long one is read three times, which costs
less than to write its numbers down, and never more memory than one part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pydantic_core import to_json

from mltrail_api.mlflow.wire import json_bytes
from mltrail_api.series.reading import Reading
from mltrail_core.series import Series

_COLUMNS: tuple[tuple[bytes, Callable[[Series], object]], ...] = (
    (b"steps", lambda part: part.steps.tolist()),
    (b"times_us", lambda part: part.times_us.tolist()),
    (b"values", lambda part: part.values.tolist()),
)


def one_series(reading: Reading) -> Iterator[bytes]:
    """Yield one object: of what, `points` of `total`, and the columns. NaN and ±Infinity are words."""
    yield b'{"run_id":%b,"key":%b,' % (json_bytes(reading.run_id), json_bytes(reading.key))
    points = 0
    for name, column in _COLUMNS:
        points = 0
        yield b'"%b":[' % name
        for part in reading.small_parts():
            text = to_json(column(part), inf_nan_mode="strings")[1:-1]
            yield b"," + text if points else text
            points += len(part)
        yield b"],"
    yield b'"points":%d,"total":%d}' % (points, points if reading.total is None else reading.total)


def many_series(readings: Iterable[Reading], about: dict[str, object]) -> Iterator[bytes]:
    """Yield one object: `about` and `series`, an array of what `one_series` yields."""
    yield json_bytes(about)[:-1] + (b"," if about else b"") + b'"series":['
    for number, reading in enumerate(readings):
        if number:
            yield b","
        yield from one_series(reading)
    yield b"]}"
