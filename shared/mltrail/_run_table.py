"""Runs as a table of pandas, which is loaded only here: the SDK does not depend on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mltrail._reader import RunSnapshot
from mltrail_core.errors import Unavailable

if TYPE_CHECKING:
    from pandas import DataFrame  # type: ignore[import-untyped, unused-ignore]


def run_table(runs: Sequence[RunSnapshot]) -> DataFrame:
    """Return a table with a row for each run, in the order given, and the columns that `search_runs` names.

    Raises:
        Unavailable: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise Unavailable("a table of runs needs pandas: pip install pandas; or leave output_format out") from error
    columns: dict[str, object] = {
        "run_id": [run.id for run in runs],
        "name": [run.name for run in runs],
        "experiment_id": [run.experiment_id for run in runs],
        "status": [run.status for run in runs],
        "user": [run.user for run in runs],
        "start_time": pandas.to_datetime([run.started_us for run in runs], unit="us", utc=True),
        "end_time": pandas.to_datetime([run.ended_us for run in runs], unit="us", utc=True),
    }
    columns |= {
        f"metrics.{key}": [run.metrics.get(key, math.nan) for run in runs]
        for key in sorted({key for run in runs for key in run.metrics})
    }
    params = sorted({key for run in runs for key in run.params})
    tags = sorted({key for run in runs for key in run.tags})
    texts = {f"params.{key}": [run.params.get(key) for run in runs] for key in params}
    texts |= {f"tags.{key}": [run.tags.get(key) for run in runs] for key in tags}
    # As objects: left to itself, pandas 3 makes NaN of the None that says "not there".
    columns |= {name: pandas.Series(found, dtype="object") for name, found in texts.items()}
    return pandas.DataFrame(columns)
