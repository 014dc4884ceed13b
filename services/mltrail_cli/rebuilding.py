"""`mltrail rebuild`: the read model folded anew from the log, compared with the live one, and put in its place."""

from __future__ import annotations

from typing import Annotated

import typer

from mltrail_cli.composition import Ports, opened_ports
from mltrail_cli.options import ArtifactsUrl, AsJson, Data, LogUrl, StoreUrl
from mltrail_cli.settings import read_settings
from mltrail_cli.terminal import console, print_json, progress_bar
from mltrail_projector.loop import Halted, catch_up
from mltrail_projector.positions import LogDiffers
from mltrail_projector.rebuild import Different, RebuildReport, rebuild


def add_to(app: typer.Typer) -> None:
    """Register the command of this module."""
    app.command("rebuild")(_rebuild)


def rebuild_shown(ports: Ports, *, accept_difference: bool = False) -> RebuildReport:
    """Rebuild with a bar on the terminal, and return the report.

    Raises:
        Different: the live read model holds something else, and stays.
        MltrailError: as `rebuild`.
    """
    with progress_bar() as bars:
        task = bars.add_task("folding the log", total=None)
        return rebuild(
            ports.log,
            ports.read_model,
            accept_difference=accept_difference,
            progress=lambda done, total: bars.update(task, completed=done, total=total),
        )


def print_report(report: RebuildReport) -> None:
    """Print what a rebuild found."""
    out = console()
    old = "" if report.old_digest is None else report.old_digest.whole
    out.print(f"[dim]records[/]  {report.records}")
    out.print(f"[dim]live[/]     g{report.old_generation}  {old or '[dim]not comparable: it stands elsewhere[/]'}")
    out.print(f"[dim]rebuilt[/]  g{report.new_generation}  {report.new_digest.whole}")
    if report.is_equal:
        out.print(f"[green]equal[/] in all {len(report.new_digest.tables)} tables")
    elif report.differing:
        out.print(f"[red]different[/] in {', '.join(report.differing)}")


def _rebuild(
    accept_difference: Annotated[
        bool, typer.Option("--accept-difference", help="Make what the log gives live, also when it differs.")
    ] = False,
    as_json: AsJson = False,
    data: Data = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> None:
    """Fold the whole log into a new read model, compare it with the live one, and swap. Exit status 1 when they differ.

    Safe while trainers write and servers run.
    """
    settings = read_settings(data=data, log_url=log_url, store_url=store_url, artifacts_url=artifacts_url)
    with opened_ports(settings) as ports:
        _catch_up(ports)
        try:
            report, is_live = rebuild_shown(ports, accept_difference=accept_difference), True
        except Different as different:
            report, is_live, message = different.report, False, str(different)
    if as_json:
        print_json(
            {
                "records": report.records,
                "positions": report.positions,
                "old_generation": report.old_generation,
                "new_generation": report.new_generation,
                "old_digest": None if report.old_digest is None else report.old_digest.whole,
                "new_digest": report.new_digest.whole,
                "is_equal": report.is_equal,
                "differing": report.differing,
                "live_generation": report.new_generation if is_live else report.old_generation,
            }
        )
    else:
        print_report(report)
        if is_live:
            console().print(f"generation {report.new_generation} is live")
        else:
            console().print(message, style="red", soft_wrap=True)
    if not is_live:
        raise typer.Exit(1)


def _catch_up(ports: Ports) -> None:
    """Project what the log holds, so that all of it is compared; what can't be projected, the rebuild judges."""
    try:
        catch_up(ports.log, ports.read_model)
    except (LogDiffers, Halted):
        return  # the live read model stands past the log, or is halted: the rebuild says so, or is told to accept it
