"""The formats that series travel in, and which of them a request asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from mltrail_api.series.as_csv import csv_lines
from mltrail_api.series.as_json import many_series, one_series
from mltrail_api.series.reading import Reading

Format = Literal["json", "arrow", "csv"]
ARROW, CSV = "application/vnd.apache.arrow.stream", "text/csv"
MEDIA_TYPES: Mapping[Format, str] = {"json": "application/json", "arrow": ARROW, "csv": CSV + "; charset=utf-8"}


def wanted_format(asked: Format | None, accepted: str) -> Format:
    """Return the format that was asked for, else the one that the header `Accept` names, else JSON."""
    if asked is not None:
        return asked
    if ARROW in accepted:
        return "arrow"
    return "csv" if CSV in accepted else "json"


def encoded(reading: Reading, wanted: Format) -> Iterator[bytes]:
    """Yield the answer that gives one series, part after part."""
    match wanted:
        case "json":
            return one_series(reading)
        case "arrow":
            from mltrail_api.series.as_arrow import arrow_stream  # 25 ms that a server's start would wait for

            about: dict[str, object] = {"run_id": reading.run_id, "key": reading.key}
            if reading.total is not None:
                about |= {"points": reading.points, "total": reading.total}
            return arrow_stream([reading], about, is_named=False)
        case "csv":
            return csv_lines([reading], is_named=False)


def encoded_together(readings: Iterable[Reading], about: dict[str, object], wanted: Format) -> Iterator[bytes]:
    """Yield the answer that gives several series and `about`, for which CSV has no place, part after part."""
    match wanted:
        case "json":
            return many_series(readings, about)
        case "arrow":
            from mltrail_api.series.as_arrow import arrow_stream

            return arrow_stream(readings, about, is_named=True)
        case "csv":
            return csv_lines(readings, is_named=True)
