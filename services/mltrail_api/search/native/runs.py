"""The native search: which runs match, in which order, a page at a time, and what is asked for of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from mltrail_api.search.experiment_names import UnknownExperiment, experiment_ids_of
from mltrail_api.search.expression import ViewType
from mltrail_api.search.native.condition import native_conditions
from mltrail_api.search.native.found import Json, load_found
from mltrail_api.search.native.order import parse_order
from mltrail_api.search.native.parse import parse_filter
from mltrail_api.search.native.selection import EVERYTHING, parse_columns
from mltrail_api.search.native.time_limit import TimeLimit, limited
from mltrail_api.search.runs import RunPage, find_runs

DEFAULT_RESULTS = 100


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched for.

    Attributes:
        filter: see docs/search.md; empty for all runs.
        experiments: names or ids; None for all there are.
        order_by: see docs/search.md; ties are broken by newest start, then run id.
        max_results: 1 to 50,000.
        page_token: of the page before, from the same search.
        view: whether active or deleted runs are wanted; runs of a deleted experiment are deleted.
        columns: what is wanted of each run; None for everything.
    """

    filter: str = ""
    experiments: Sequence[str] | None = None
    order_by: Sequence[str] = ()
    max_results: int = DEFAULT_RESULTS
    page_token: str | None = None
    view: ViewType = ViewType.ACTIVE_ONLY
    columns: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class FoundPage:
    """One page of runs, and the token of the next if there is one."""

    runs: list[Json]
    next_page_token: str | None


def search(connection: Connection, asked: Search) -> FoundPage | UnknownExperiment:
    """Return a page of the runs that match, with what is wanted of each.

    Raises:
        Invalid: an argument is malformed, the message shows where; or the search takes too long.
    """
    selection = EVERYTHING if asked.columns is None else parse_columns(asked.columns)
    with limited(connection) as limit:
        page = find(connection, asked, limit)
        if isinstance(page, UnknownExperiment):
            return page
        return FoundPage(load_found(connection, page.run_ids, selection), page.next_page_token)


def find(connection: Connection, asked: Search, limit: TimeLimit | None = None) -> RunPage | UnknownExperiment:
    """Return a page of the ids of the runs that match.

    Raises:
        Invalid: an argument is malformed; the message shows where.
    """
    expression, terms = parse_filter(asked.filter), parse_order(asked.order_by)
    experiment_ids = None if asked.experiments is None else experiment_ids_of(connection, asked.experiments)
    if isinstance(experiment_ids, UnknownExperiment):
        return experiment_ids
    conditions = native_conditions(connection, expression, limit)
    return find_runs(connection, experiment_ids, conditions, asked.view, asked.max_results, terms, asked.page_token)
