"""`mltrail experiments list`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from mltrail_api.pages.queries import experiment_lines
from mltrail_api.pages.shown import shown_time
from mltrail_api.search.expression import ViewType
from mltrail_cli.options import ArtifactsUrl, AsJson, Data, LogUrl, StoreUrl
from mltrail_cli.reading import current_ports
from mltrail_cli.settings import read_settings
from mltrail_cli.terminal import console, plain_table, print_json


def add_to(app: typer.Typer) -> None:
    """Register the commands of this module."""
    experiments = typer.Typer(name="experiments", help="Look at experiments.", no_args_is_help=True)
    experiments.callback()(lambda: None)  # keeps `list` a command of its own
    experiments.command("list")(_list)
    app.add_typer(experiments)


def _list(
    filter_string: Annotated[str, typer.Option("--filter", "-f", help="As in MLflow: name LIKE 'vision%'")] = "",
    deleted: Annotated[bool, typer.Option("--deleted", help="Deleted experiments instead of active ones.")] = False,
    as_json: AsJson = False,
    data: Data = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> None:
    """List experiments, newest first, with how many runs they have."""
    settings = read_settings(data=data, log_url=log_url, store_url=store_url, artifacts_url=artifacts_url)
    view_type = ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY
    with current_ports(settings) as ports, ports.read_model.reading() as connection:
        lines = experiment_lines(connection, filter_string, view_type)
    if as_json:
        print_json({"experiments": lines})
        return
    table = plain_table("id", "name", "runs", "last run (UTC)", "created (UTC)", right=("runs",))
    for line in lines:
        found = line.experiment
        table.add_row(
            found.experiment_id,
            escape(found.name),
            str(line.run_count),
            shown_time(line.last_run_us),
            shown_time(found.created_us),
        )
    console().print(table)
