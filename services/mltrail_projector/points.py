"""Metric points of one transaction: gathered run by run, written as one block a run and merged into the summaries.

Summaries do not depend on how points were split into batches: last and first are by (step, time, value), with NaN
below every number; minimum and maximum leave NaN out and name the first step that has them.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from mltrail_core.metric_block import MetricBlock, concatenate
from mltrail_core.readmodel import tables
from mltrail_projector.rows import Row, Rows, Value


class Points:
    """The points that a transaction adds."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._blocks: dict[str, list[MetricBlock]] = defaultdict(list)
        self._last_index: dict[str, int] = {}

    def add(self, run_id: str, index: int, block: MetricBlock) -> None:
        """Add the points of one event at `index` of the run's partition."""
        if len(block):
            self._blocks[run_id].append(block)
            self._last_index[run_id] = index

    def flush(self) -> None:
        """Turn what was added into rows."""
        merged = {run_id: concatenate(blocks) for run_id, blocks in self._blocks.items()}
        self._rows.prefetch(
            tables.metric_summaries, [(run_id, key) for run_id, block in merged.items() for key in block.keys]
        )
        for run_id, block in merged.items():
            self._rows.put(
                tables.metric_blocks,
                {
                    "run_id": run_id,
                    "last_index": self._last_index[run_id],
                    "number": 0,
                    "point_count": len(block),
                    "block": block.to_bytes(),
                },
            )
            for key, summary in summarize(block).items():
                known = self._rows.get(tables.metric_summaries, run_id, key)
                row = {"run_id": run_id, "key": key, **summary}
                self._rows.put(tables.metric_summaries, row if known is None else merge_summaries(known, row))
        self._blocks.clear()
        self._last_index.clear()


def summarize(block: MetricBlock) -> dict[str, dict[str, Value]]:
    """Return, for every key that has points, the columns of its summary row."""
    is_nan = np.isnan(block.values)
    ordered_values = np.where(is_nan, 0.0, block.values)
    order = np.lexsort((ordered_values, ~is_nan, block.times_us, block.steps, block.key_indices))
    key_indices = block.key_indices[order]
    starts = np.flatnonzero(np.r_[True, key_indices[1:] != key_indices[:-1]])
    ends = np.r_[starts[1:], len(order)] - 1
    steps, times_us, values = block.steps[order], block.times_us[order], block.values[order]
    lowest = np.fmin.reduceat(values, starts)
    highest = np.fmax.reduceat(values, starts)
    summaries: dict[str, dict[str, Value]] = {}
    for n, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        has_number = not np.isnan(lowest[n])
        its_values = values[start : end + 1]
        summaries[block.keys[int(key_indices[start])]] = {
            "logged_points": end - start + 1,
            "last_step": int(steps[end]),
            "last_time_us": int(times_us[end]),
            "last_value": _or_none(values[end]),
            "first_step": int(steps[start]),
            "first_time_us": int(times_us[start]),
            "first_value": _or_none(values[start]),
            "min_value": _or_none(lowest[n]),
            "min_step": int(steps[start + int(np.argmax(its_values == lowest[n]))]) if has_number else None,
            "max_value": _or_none(highest[n]),
            "max_step": int(steps[start + int(np.argmax(its_values == highest[n]))]) if has_number else None,
        }
    return summaries


def merge_summaries(one: Row, other: Row) -> Row:
    """Return the summary of all points that the two sum up; which is called `one` makes no difference."""
    last = max(one, other, key=lambda row: _place(row, "last"))
    first = min(one, other, key=lambda row: _place(row, "first"))
    lowest = min(one, other, key=lambda row: _extreme(row, "min", 1))
    highest = min(one, other, key=lambda row: _extreme(row, "max", -1))
    return {
        "run_id": one["run_id"],
        "key": one["key"],
        "logged_points": int(one["logged_points"] or 0) + int(other["logged_points"] or 0),
        **{name: last[name] for name in ("last_step", "last_time_us", "last_value")},
        **{name: first[name] for name in ("first_step", "first_time_us", "first_value")},
        **{name: lowest[name] for name in ("min_value", "min_step")},
        **{name: highest[name] for name in ("max_value", "max_step")},
    }


def _or_none(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value) + 0.0  # -0.0 becomes 0.0, which SQLite would make of it anyway


def _number(value: Value) -> float:
    assert isinstance(value, int | float)
    return value


def _place(row: Row, which: str) -> tuple[float, float, bool, float]:
    value = row[f"{which}_value"]
    return (
        _number(row[f"{which}_step"]),
        _number(row[f"{which}_time_us"]),
        value is not None,
        0.0 if value is None else _number(value),
    )


def _extreme(row: Row, which: str, sign: int) -> tuple[bool, float, float]:
    value, step = row[f"{which}_value"], row[f"{which}_step"]
    if value is None or step is None:
        return (True, 0.0, 0.0)
    return (False, sign * _number(value), _number(step))
