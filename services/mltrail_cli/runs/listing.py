"""`mltrail runs list`: the runs that match, by the native grammar, as whole runs or only the columns asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated

import typer
from rich.markup import escape
from sqlalchemy import Connection

from mltrail_api.mlflow.runs.view import run_json
from mltrail_api.pages.queries import all_experiments
from mltrail_api.pages.shown import shown_duration, shown_number, shown_time
from mltrail_api.search.experiment_names import UnknownExperiment
from mltrail_api.search.expression import ViewType
from mltrail_api.search.native.found import Json, load_found
from mltrail_api.search.native.runs import Search, find
from mltrail_api.search.native.selection import parse_columns
from mltrail_api.search.view import load_runs
from mltrail_cli.options import ArtifactsUrl, AsJson, Data, LogUrl, StoreUrl
from mltrail_cli.reading import current_ports
from mltrail_cli.runs.showing import print_runs, styled_status
from mltrail_cli.settings import read_settings
from mltrail_cli.terminal import console, plain_table, print_json
from mltrail_core.errors import NotFound

_PAGE = 1000
_LISTED = re.compile(r"""(?:[^,`"']|`[^`]*`|"[^"]*"|'[^']*')+""")


def list_runs(
    experiment: Annotated[
        list[str] | None, typer.Option("--experiment", "-e", help="Name or id; may be repeated. All by default.")
    ] = None,
    filter_string: Annotated[
        str,
        typer.Option(
            "--filter", "-f", help="Such as: metrics.loss.min < 0.2 AND (params.lr = '0.1' OR run_name ~ '^bert')"
        ),
    ] = "",
    order_by: Annotated[
        list[str] | None,
        typer.Option("--sort", "--order-by", "-o", help="Such as: 'metrics.acc DESC'; may be repeated."),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--columns", "-c", help="Only these, such as: metrics.loss.min,params.lr,status"),
    ] = None,
    max_results: Annotated[int, typer.Option("--max-results", "-n", min=1, help="At most so many.")] = 100,
    deleted: Annotated[bool, typer.Option("--deleted", help="Deleted runs instead of active ones.")] = False,
    as_json: AsJson = False,
    data: Data = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> None:
    """List runs, newest first."""
    settings = read_settings(data=data, log_url=log_url, store_url=store_url, artifacts_url=artifacts_url)
    view = ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY
    asked = Search(filter_string, experiment or None, order_by or (), max_results, view=view)
    if columns:
        names = [name.strip() for listed in columns for name in _LISTED.findall(listed)]
        selection = parse_columns(names)
        with current_ports(settings) as ports, ports.read_model.reading() as connection:
            shown = load_found(connection, _found_ids(connection, asked), selection)
        if as_json:
            print_json({"runs": shown})
        else:
            _print_columns(shown)
        return
    with current_ports(settings) as ports, ports.read_model.reading() as connection:
        experiments = all_experiments(connection, view_type=ViewType.ALL)
        found = load_runs(connection, _found_ids(connection, asked))
    if as_json:
        print_json({"runs": [run_json(run) for run in found]})
    else:
        print_runs(found, {one.experiment_id: one.name for one in experiments})


def _found_ids(connection: Connection, asked: Search) -> list[str]:
    found: list[str] = []
    token = None
    while len(found) < asked.max_results:
        size = min(_PAGE, asked.max_results - len(found))
        page = find(connection, replace(asked, max_results=size, page_token=token))
        if isinstance(page, UnknownExperiment):
            raise NotFound(f"no experiment is called {page.name!r}; `mltrail experiments list` shows those there are")
        found += page.run_ids
        token = page.next_page_token
        if token is None:
            break
    return found


def _print_columns(found: Sequence[Json]) -> None:
    out = console()
    if not found:
        out.print("[dim]no runs match[/]")
        return
    rows = [dict(_cells(run)) for run in found]
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = plain_table(*map(escape, names), right=tuple(escape(name) for name in names if name.startswith("metrics.")))
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(*(row.get(name, "") for name in names))
    out.print(table)


def _cells(run: Json) -> Iterator[tuple[str, str]]:
    """Yield what a line shows of a run: names of columns, and texts with markup."""
    for name, value in run.items():
        match name, value:
            case "metrics", Mapping():
                for key, numbers in value.items():
                    for summary, number in numbers.items():
                        column = f"metrics.{key}" if summary == "last" else f"metrics.{key}.{summary}"
                        yield column, shown_number(None if number is None else float(number))
            case (("params" | "tags"), Mapping()):
                yield from ((f"{name}.{key}", escape(text)) for key, text in value.items())
            case "status", str():
                yield name, styled_status(value)
            case (("started_us" | "ended_us"), (int() | None)):
                yield name.removesuffix("_us"), shown_time(value)
            case "duration_us", (int() | None):
                yield "took", shown_duration(0, value)
            case "is_deleted", _:
                continue  # the whole list is, or nothing of it
            case "datasets", list():
                yield name, escape(", ".join(one["name"] for one in value))
            case "models", {"inputs": inputs, "outputs": outputs}:
                yield name, escape(", ".join([*inputs, *(one["model_id"] for one in outputs)]))
            case _:
                yield name, "" if value is None else escape(str(value))
