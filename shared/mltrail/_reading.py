"""The functions that read runs back, this process's own writes included."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, overload

from mltrail._arguments import checked_key, checked_run_id
from mltrail._fluent import current_session
from mltrail._reader import Reader, RunSnapshot, open_reader

if TYPE_CHECKING:
    from pandas import DataFrame  # type: ignore[import-untyped, unused-ignore]

    from mltrail_core.metric_block import MetricPoint

_FLUSH_BEFORE_READ_S = 5.0
"""A read waits at most this long until what this process logged has arrived."""


def get_run(run_id: str) -> RunSnapshot:
    """Return what is known of a run now, this process's own writes included.

    Raises:
        NotFound: there is no such run.
        Unavailable: nobody can be asked; the message says what to start or install.
    """
    return _reader().get_run(checked_run_id(run_id))


@overload
def search_runs(
    experiment: str | Sequence[str] | None = ...,
    filter_string: str = ...,
    *,
    order_by: Sequence[str] = ...,
    max_results: int = ...,
    output_format: Literal["list"] = ...,
) -> list[RunSnapshot]: ...


@overload
def search_runs(
    experiment: str | Sequence[str] | None = ...,
    filter_string: str = ...,
    *,
    order_by: Sequence[str] = ...,
    max_results: int = ...,
    output_format: Literal["pandas"],
) -> DataFrame: ...


def search_runs(
    experiment: str | Sequence[str] | None = None,
    filter_string: str = "",
    *,
    order_by: Sequence[str] = (),
    max_results: int = 1000,
    output_format: Literal["list", "pandas"] = "list",
) -> list[RunSnapshot] | DataFrame:
    """Return the runs that match, newest first unless `order_by` says otherwise.

    Args:
        experiment: one or several names; None searches all experiments.
        filter_string: such as `"metrics.loss.min < 0.3 and (params.lr = '0.1' or run_name ~ '^bert')"`: MLflow's
            grammar, and more (docs/search.md).
        order_by: such as `["metrics.loss.min ASC"]`.
        max_results: at most so many.
        output_format: `"pandas"` gives a table with a row for each run: run_id, name, experiment_id, status, user,
            start_time and end_time (UTC), then `metrics.…` (NaN where there is none), `params.…` and `tags.…` (None).

    Raises:
        Invalid: the filter is not understood; the message says where.
        NotFound: there is no experiment of that name.
        Unavailable: as `get_run`; or pandas is asked for and not installed.
    """
    if output_format not in ("list", "pandas"):
        raise ValueError(f"output_format is {output_format!r}; expected 'list' or 'pandas'")
    names = [experiment] if isinstance(experiment, str) else None if experiment is None else list(experiment)
    found = _reader().search_runs(names, filter_string, order_by, max_results)
    if output_format == "list":
        return found
    from mltrail._run_table import run_table

    return run_table(found)


def metric_history(run_id: str, key: str) -> list[MetricPoint]:
    """Return every point of one metric of a run, in the order of step and time; [] when it was never logged.

    Raises:
        NotFound, Unavailable: as `get_run`.
    """
    return _reader().metric_history(checked_run_id(run_id), checked_key(key))


def _reader() -> Reader:
    session = current_session()
    if session.has_open_runs:
        session.flush(None, time.monotonic() + _FLUSH_BEFORE_READ_S)
    return open_reader(session.settings.destination)
