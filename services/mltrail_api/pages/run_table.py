"""The table of an experiment's runs: which params and metrics get a column, and how each column is sorted by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlencode

from mltrail_api.pages.shown import shown_number
from mltrail_api.search.view import RunView

MAX_COLUMNS_OF_A_KIND = 6
Kind = Literal["metric", "param"]


@dataclass(frozen=True, slots=True)
class Search:
    """What the page was asked for; texts are empty when they were not given."""

    experiment_id: str
    filter: str
    order_by: str
    page_token: str

    def url(self, *, order_by: str | None = None, page_token: str = "") -> str:
        """Return the address of the same search, otherwise sorted or of another page."""
        words = {
            "filter": self.filter,
            "order_by": self.order_by if order_by is None else order_by,
            "page_token": page_token,
        }
        query = urlencode({name: value for name, value in words.items() if value})
        return f"/experiments/{quote(self.experiment_id, safe='')}" + (f"?{query}" if query else "")


@dataclass(frozen=True, slots=True)
class RunColumn:
    """A column of the table; `sort_url` sorts by it, the other way round when it is sorted by it already."""

    kind: Kind
    key: str
    sort_url: str
    arrow: str


@dataclass(frozen=True, slots=True)
class Cell:
    """The text of a param or metric of one run; empty where the run has none."""

    text: str
    is_metric: bool


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run and its cells, one for each column."""

    run: RunView
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class RunTable:
    """Rows and columns; `hidden` keys have no column."""

    columns: tuple[RunColumn, ...]
    rows: tuple[RunRow, ...]
    hidden: int


def run_table(runs: Sequence[RunView], search: Search) -> RunTable:
    """Return the table of these runs, with a column for the keys that most of them have: metrics, then params."""
    metric_keys, hidden_metrics = _most_common([metric.key for run in runs for metric in run.metrics])
    param_keys, hidden_params = _most_common([key for run in runs for key, _ in run.params])
    columns = [_column("metric", key, search) for key in metric_keys]
    columns += [_column("param", key, search) for key in param_keys]
    rows = []
    for run in runs:
        values = {metric.key: metric.value for metric in run.metrics}
        params = dict(run.params)
        cells = [Cell(shown_number(values[key]) if key in values else "", True) for key in metric_keys]
        cells += [Cell(params.get(key, ""), False) for key in param_keys]
        rows.append(RunRow(run, tuple(cells)))
    return RunTable(tuple(columns), tuple(rows), hidden_metrics + hidden_params)


def _most_common(keys: Sequence[str]) -> tuple[list[str], int]:
    counts = Counter(keys)
    ranked = sorted(counts, key=lambda key: (-counts[key], key))
    return ranked[:MAX_COLUMNS_OF_A_KIND], max(0, len(ranked) - MAX_COLUMNS_OF_A_KIND)


def _column(kind: Kind, key: str, search: Search) -> RunColumn:
    # A key holds neither backticks nor quotes (`rules.key_fault`), so backticks quote every one.
    ascending, descending = f"{kind}s.`{key}` ASC", f"{kind}s.`{key}` DESC"
    arrow = {ascending: " ↑", descending: " ↓"}.get(search.order_by, "")
    return RunColumn(kind, key, search.url(order_by=ascending if search.order_by == descending else descending), arrow)
