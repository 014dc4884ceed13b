"""experiments/search-datasets: which datasets the runs of some experiments read, and as what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from mltrail_api.search.placement import EXPERIMENT_ID, PLACED_RUNS, is_placed_in
from mltrail_api.search.run_conditions import dataset_text
from mltrail_core.readmodel.tables import dataset_inputs, runs

MAX_SUMMARIES = 1000
"""As in MLflow's SQL store."""


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """A dataset that runs of an experiment read; `context` is None where a run does not say as what."""

    experiment_id: str
    name: str
    digest: str
    context: str | None


def dataset_summaries(connection: Connection, experiment_ids: Sequence[str]) -> list[DatasetSummary]:
    """Return the distinct datasets of experiments, by experiment, name, digest and context; 1,000 at most.

    Raises:
        Invalid: an experiment id is not a decimal number.
    """
    context = dataset_text("context", connection.dialect.name)
    columns = (EXPERIMENT_ID, dataset_inputs.c.name, dataset_inputs.c.digest, context)
    query = (
        select(*columns)
        .select_from(PLACED_RUNS.join(dataset_inputs, dataset_inputs.c.run_id == runs.c.run_id))
        .where(is_placed_in(connection, experiment_ids))
        .distinct()
        .order_by(*columns)
        .limit(MAX_SUMMARIES)
    )
    return [DatasetSummary(*row) for row in connection.execute(query)]
