"""`mltrail runs list|show|metrics|history`."""

from __future__ import annotations

from typing import Annotated

import typer

from mltrail_api.mlflow.runs.view import run_json
from mltrail_api.pages.queries import all_experiments, artifacts_of, metric_summaries_of
from mltrail_api.search.expression import ViewType
from mltrail_api.v1.delivered import load_delivery, with_present
from mltrail_cli.options import ArtifactsUrl, AsJson, Data, LogUrl, StoreUrl
from mltrail_cli.reading import current_ports
from mltrail_cli.runs.history import history_of
from mltrail_cli.runs.listing import list_runs
from mltrail_cli.runs.metrics import print_metrics
from mltrail_cli.runs.one_run import RunPrefix, load_one_run
from mltrail_cli.runs.showing import FoundRun, print_found_run, print_history, print_points
from mltrail_cli.settings import read_settings
from mltrail_cli.terminal import print_json
from mltrail_core.series import read_series


def add_to(app: typer.Typer) -> None:
    """Register the commands of this module."""
    runs = typer.Typer(name="runs", help="Look at runs.", no_args_is_help=True)
    runs.command("list")(list_runs)
    runs.command("show")(_show)
    runs.command("metrics")(print_metrics)
    runs.command("history")(_history)
    app.add_typer(runs)


def _show(
    run_id: RunPrefix,
    as_json: AsJson = False,
    data: Data = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> None:
    """Show a run: params, metrics, tags, artifacts, whether all that was sent arrived, and what was rejected."""
    settings = read_settings(data=data, log_url=log_url, store_url=store_url, artifacts_url=artifacts_url)
    with current_ports(settings) as ports, ports.read_model.reading() as connection:
        run = load_one_run(connection, run_id)
        loaded = load_delivery(connection, run.run_id)
        assert loaded is not None
        delivery = with_present(loaded, ports.log, ports.liveness)
        names = {found.experiment_id: found.name for found in all_experiments(connection, view_type=ViewType.ALL)}
        found = FoundRun(
            run,
            names.get(run.experiment_id),
            metric_summaries_of(connection, run.run_id),
            artifacts_of(connection, [run.run_id]),
            delivery,
        )
    if as_json:
        print_json(
            {
                "run": run_json(run),
                "metrics": found.metrics,
                "artifacts": found.artifacts,
                "delivery": delivery,
            }
        )
    else:
        print_found_run(found)


def _history(
    run_id: RunPrefix,
    key: Annotated[
        str | None, typer.Argument(metavar="[METRIC]", help="Show the points of this metric instead of changes.")
    ] = None,
    as_json: AsJson = False,
    data: Data = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> None:
    """Show who changed what of a run and when, from the log; or all points of one metric."""
    settings = read_settings(data=data, log_url=log_url, store_url=store_url, artifacts_url=artifacts_url)
    with current_ports(settings) as ports:
        with ports.read_model.reading() as connection:
            run = load_one_run(connection, run_id)
            if key is not None:
                points = read_series(connection, run.run_id, key).points(key)
        if key is None:
            changes = history_of(ports.log, ports.read_model, run.run_id)
    if key is None:
        if as_json:
            print_json({"run_id": run.run_id, "changes": changes})
        else:
            print_history(run, changes)
    elif as_json:
        columns = [{"key": p.key, "value": p.value, "step": p.step, "timestamp": p.time_us // 1000} for p in points]
        print_json({"run_id": run.run_id, "metrics": columns})
    else:
        print_points(run, key, points)
