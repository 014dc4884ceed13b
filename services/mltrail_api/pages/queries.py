"""What pages and the command line show beside whole runs: experiments with counts, summaries of metrics, artifacts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, case, func, null, select, union_all

from mltrail_api.search.experiment_view import ExperimentView, load_experiments
from mltrail_api.search.experiments import search_experiments
from mltrail_api.search.expression import ViewType
from mltrail_api.search.placement import EXPERIMENT_ID, IS_DELETED, PLACED_RUNS
from mltrail_core.readmodel.tables import artifacts, experiments, metric_summaries, runs, unverified_artifacts

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class ExperimentLine:
    """An experiment in a list. `run_count` counts active runs; `last_run_us` is the newest start among them."""

    experiment: ExperimentView
    run_count: int
    last_run_us: int | None


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """One metric of a run. `min_value` and `max_value` leave NaN out, and are None while there is nothing else."""

    key: str
    last_value: float
    last_step: int
    min_value: float | None
    max_value: float | None
    logged_points: int


@dataclass(frozen=True, slots=True)
class StoredArtifact:
    """A file of a run or logged model, as its path shows it now.

    Without a hash: it was uploaded past the server and is not verified yet.
    """

    path: str
    size_bytes: int
    sha256: str | None
    media_type: str | None
    stored_us: int


def all_experiments(
    connection: Connection, filter_string: str | None = None, view_type: ViewType = ViewType.ACTIVE_ONLY
) -> list[ExperimentView]:
    """Return every experiment that matches, newest first.

    Raises:
        Invalid: the filter is malformed.
    """
    found: list[str] = []
    token = None
    while True:
        page = search_experiments(connection, filter_string, view_type, max_results=_PAGE, page_token=token)
        found += page.experiment_ids
        token = page.next_page_token
        if token is None:
            return load_experiments(connection, found)


def experiment_lines(
    connection: Connection, filter_string: str | None = None, view_type: ViewType = ViewType.ACTIVE_ONLY
) -> list[ExperimentLine]:
    """Return every experiment that matches with what its runs say, newest first.

    Raises:
        Invalid: the filter is malformed.
    """
    is_active = case((runs.c.is_deleted, None), else_=1)
    counted = connection.execute(
        select(
            EXPERIMENT_ID,
            func.count(is_active),
            func.max(case((runs.c.is_deleted, None), else_=runs.c.started_us)),
        )
        .select_from(PLACED_RUNS)
        .group_by(EXPERIMENT_ID)
    )
    of_runs = {experiment_id: (count, last_us) for experiment_id, count, last_us in counted}
    return [
        ExperimentLine(experiment, *of_runs.get(experiment.experiment_id, (0, None)))
        for experiment in all_experiments(connection, filter_string, view_type)
    ]


def unplaced_run_ids(connection: Connection, limit: int) -> list[str]:
    """Return runs that name an experiment which is not known (yet), newest first."""
    query = (
        select(runs.c.run_id)
        .select_from(PLACED_RUNS)
        .where(experiments.c.experiment_id.is_(None), ~IS_DELETED)
        .order_by(runs.c.started_us.desc(), runs.c.run_id)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def run_ids_beginning(connection: Connection, prefix: str, limit: int) -> list[str]:
    """Return at most `limit` ids of runs that begin with `prefix`, of any lifecycle."""
    is_match = runs.c.run_id.startswith(prefix, autoescape=True)
    return list(
        connection.execute(select(runs.c.run_id).where(is_match).order_by(runs.c.run_id).limit(limit)).scalars()
    )


def metric_summaries_of(connection: Connection, run_id: str) -> list[MetricSummary]:
    """Return the metrics of a run, sorted by key."""
    table = metric_summaries.c
    query = (
        select(table.key, table.last_value, table.last_step, table.min_value, table.max_value, table.logged_points)
        .where(table.run_id == run_id)
        .order_by(table.key)
    )
    return [
        MetricSummary(key, math.nan if last is None else last, step, least, most, points)
        for key, last, step, least, most, points in connection.execute(query)
    ]


def artifacts_of(connection: Connection, owners: Sequence[str]) -> list[StoredArtifact]:
    """Return the files of runs or logged models, sorted by owner and path."""
    table, uploaded = artifacts.c, unverified_artifacts.c
    query = union_all(
        select(table.owner, table.path, table.size_bytes, table.sha256, table.media_type, table.stored_us).where(
            table.owner.in_(owners)
        ),
        select(
            uploaded.owner, uploaded.path, uploaded.size_bytes, null(), uploaded.media_type, uploaded.uploaded_us
        ).where(uploaded.owner.in_(owners)),
    ).order_by("owner", "path")
    return [StoredArtifact(*described) for _, *described in connection.execute(query)]
