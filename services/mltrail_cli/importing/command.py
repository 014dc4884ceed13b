"""`mltrail import mlflow`: everything of an MLflow server, database or folder, with its ids and times."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from mltrail_cli.composition import Ports
from mltrail_cli.importing.opening import open_source
from mltrail_cli.importing.report import ImportReport, print_report
from mltrail_cli.importing.sender import Sender
from mltrail_cli.importing.source import Source
from mltrail_cli.importing.tally import Tally
from mltrail_cli.importing.walk import Step, Walk
from mltrail_cli.options import ArtifactsUrl, AsJson, Data, LogUrl, StoreUrl
from mltrail_cli.reading import current_ports, project_all
from mltrail_cli.settings import read_settings
from mltrail_cli.terminal import progress_bar
from mltrail_core.record import Actor


def add_to(app: typer.Typer) -> None:
    """Register the command of this module."""
    importing = typer.Typer(name="import", help="Bring in what another tracker holds.", no_args_is_help=True)
    importing.callback()(lambda: None)  # keeps `mlflow` a command of its own
    importing.command("mlflow")(_import_mlflow)
    app.add_typer(importing)


def _import_mlflow(
    origin: Annotated[
        str,
        typer.Option(
            "--from", metavar="SOURCE", help="http://host:port, sqlite:///mlflow.db, postgresql://… or ./mlruns"
        ),
    ],
    artifacts_root: Annotated[
        Path | None,
        typer.Option(
            "--artifacts-root",
            metavar="DIR",
            help="With a database or folder: where the server's mlflow-artifacts: files lie (--artifacts-destination).",
        ),
    ] = None,
    skip_artifacts: Annotated[
        bool, typer.Option("--skip-artifacts", help="Leave files where they are; only what is known of runs comes.")
    ] = False,
    rename_suffix: Annotated[
        str | None,
        typer.Option(
            "--rename-suffix",
            metavar="TEXT",
            help="Add this to names that are taken here; they are left out by default.",
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option("--token", envvar="MLFLOW_TRACKING_TOKEN", help="Sent to the server that is read, as Bearer."),
    ] = None,
    as_json: AsJson = False,
    data: Data = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> None:
    """Import experiments, runs, metrics, files, logged models and the registry of MLflow, with ids and times.

    Broken off, it goes on where it stopped; again, it brings what is new. Exit status 1 when anything is missing here.
    """
    settings = read_settings(data=data, log_url=log_url, store_url=store_url, artifacts_url=artifacts_url)
    source = open_source(origin, artifacts_root, token)
    try:
        with current_ports(settings) as ports:
            report = import_all(source, ports, takes_artifacts=not skip_artifacts, rename_suffix=rename_suffix)
    finally:
        source.close()
    print_report(report, as_json=as_json)
    if not report.is_complete:
        raise typer.Exit(1)


def import_all(
    source: Source, ports: Ports, *, takes_artifacts: bool = True, rename_suffix: str | None = None
) -> ImportReport:
    """Append what is missing, project it, and walk over the source again to count both sides.

    `ports` must have projected the log.

    Raises:
        Unavailable: source, log, read model or artifact store can't be reached; import again to go on.
    """
    sender = Sender(ports.log, ports.read_model, source.identity, Actor(getpass.getuser()))

    def walk(what: str, *, is_sending: bool) -> Tally:
        with progress_bar() as bars:
            steps = _steps(bars, what, source.run_count())
            return Walk(
                source,
                ports.read_model,
                ports.artifacts,
                sender,
                is_sending,
                takes_artifacts,
                rename_suffix,
                lambda step, number: bars.advance(steps[step], number),
            ).whole()

    before = walk("importing", is_sending=True)
    if not sender.event_count:
        return ImportReport(source.identity, before, before, 0, 0)
    project_all(ports)
    after = walk("comparing", is_sending=False)
    return ImportReport(source.identity, before, after, sender.event_count, sender.record_count)


def _steps(bars: Progress, what: str, run_count: int | None) -> dict[Step, TaskID]:
    return {
        "runs": bars.add_task(f"{what} runs", total=run_count),
        "points": bars.add_task(f"{what} points", total=None),
        "bytes": bars.add_task("bytes of artifacts", total=None),
    }
