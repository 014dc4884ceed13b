"""The series of metrics, as every reader sees them: however the points came and wherever they rest."""

from mltrail_core.series.outline import Outline, outline
from mltrail_core.series.reading import read_series, stream_series
from mltrail_core.series.series import EVERYTHING, Series, Window, joined, ordered

__all__ = [
    "EVERYTHING",
    "Outline",
    "Series",
    "Window",
    "joined",
    "ordered",
    "outline",
    "read_series",
    "stream_series",
]
