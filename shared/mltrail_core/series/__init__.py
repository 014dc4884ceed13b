"""The series of metrics, as every reader sees them: however the points came, in blocks or chunks.

`read_series`, `stream_series`, `outline` and `read_history_page` are for readers; the answer never depends on what was
compacted. `logged_points` is for digests. See docs/metric-store.md.
"""

from mltrail_core.series.calls import COMPACTION_LOCK, calls_for_compaction
from mltrail_core.series.history import HistoryPage, read_history_page
from mltrail_core.series.logged import logged_points
from mltrail_core.series.loose import read_loose
from mltrail_core.series.outlines import Outline, outline
from mltrail_core.series.reading import read_series, stream_series
from mltrail_core.series.series import EVERYTHING, Series, Window, joined, ordered

__all__ = [
    "COMPACTION_LOCK",
    "EVERYTHING",
    "HistoryPage",
    "Outline",
    "Series",
    "Window",
    "calls_for_compaction",
    "joined",
    "logged_points",
    "ordered",
    "outline",
    "read_history_page",
    "read_loose",
    "read_series",
    "stream_series",
]
