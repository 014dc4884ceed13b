"""`mltrail log status|copy|outcome`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from rich.markup import escape
from sqlalchemy import select

from mltrail_api.pages.shown import shown_duration, shown_size, shown_time
from mltrail_cli.composition import Ports, opened_ports
from mltrail_cli.event_lines import configure_event_lines
from mltrail_cli.options import ArtifactsUrl, AsJson, Data, LogUrl, StoreUrl
from mltrail_cli.outcome import print_outcome
from mltrail_cli.settings import read_settings
from mltrail_cli.terminal import console, plain_table, print_json, progress_bar
from mltrail_core.clock import now_us
from mltrail_core.ids import PARTITIONS
from mltrail_core.log import copy_log, open_log
from mltrail_core.readmodel.tables import positions


def add_to(app: typer.Typer) -> None:
    """Register the commands of this module."""
    log = typer.Typer(name="log", help="Look after the event log.", no_args_is_help=True)
    log.command("status")(_status)
    log.command("copy")(_copy)
    log.command("outcome")(print_outcome)
    app.add_typer(log)


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """How far a partition is projected. `waiting_us`: how long its oldest unprojected record waits by now."""

    partition: str
    head: int
    projected: int
    lag: int
    waiting_us: int | None
    halted: str | None


def status_of(ports: Ports) -> list[PartitionStatus]:
    """Return how far each partition is, as the read model says now; nothing is projected by asking."""
    with ports.read_model.reading() as connection:
        rows = connection.execute(select(positions.c.partition, positions.c["index"], positions.c.halted))
        projected = {partition: (index, halted) for partition, index, halted in rows}
    heads = ports.log.heads()
    found = []
    for partition in PARTITIONS:
        index, halted = projected.get(partition, (0, None))
        waiting = ports.log.read(partition, after=index, max_records=1)
        waiting_us = now_us() - waiting[0].appended_us if waiting else None
        found.append(
            PartitionStatus(partition, heads[partition], index, max(0, heads[partition] - index), waiting_us, halted)
        )
    return found


def _status(
    as_json: AsJson = False,
    data: Data = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> None:
    """Show the log's identity and durability, and how far each partition is projected."""
    settings = read_settings(data=data, log_url=log_url, store_url=store_url, artifacts_url=artifacts_url)
    with opened_ports(settings) as ports:
        identity, durability, url = ports.log.identity, ports.log.durability, ports.log.url
        api_url = ports.log.published("api_url")
        found = status_of(ports)
    records, lag = sum(status.head for status in found), sum(status.lag for status in found)
    if as_json:
        print_json(
            {
                "log_id": identity.log_id,
                "url": url,
                "format_version": identity.format_version,
                "created_us": identity.created_us,
                "durability": durability,
                "api_url": api_url,
                "records": records,
                "lag": lag,
                "partitions": found,
            }
        )
        return
    out = console()
    style = "green" if durability == "fsync" else "bold yellow"
    out.print(f"[bold]log[/] {identity.log_id} [dim]at[/] {escape(url)}", soft_wrap=True)
    out.print(
        f"[dim]format {identity.format_version}, begun {shown_time(identity.created_us)} UTC, durability[/] "
        f"[{style}]{durability}[/]"
    )
    if api_url is not None:
        out.print(f"[dim]last server[/] {escape(api_url)}")
    table = plain_table(
        "partition", "records", "projected", "lag", "waits for", "", right=("records", "projected", "lag", "waits for")
    )
    for status in found:
        behind = f"[yellow]{status.lag}[/]" if status.lag else "0"
        halted = f"[red]halted: {escape(status.halted)}[/]" if status.halted else ""
        waits = shown_duration(0, status.waiting_us)
        table.add_row(status.partition, str(status.head), str(status.projected), behind, waits, halted)
    table.add_row("[bold]all[/]", str(records), str(records - lag), f"[yellow]{lag}[/]" if lag else "0", "", "")
    out.print(table)


def _copy(
    source: Annotated[str, typer.Option("--from", metavar="URL", help="A folder, sqlite:///folder or redis://…")],
    target: Annotated[str, typer.Option("--to", metavar="URL", help="Where to; empty, or an earlier copy.")],
    as_json: AsJson = False,
) -> None:
    """Copy a log with its identity, indices and times; run it again to copy what has come since."""
    configure_event_lines(warnings_only=True)
    log = open_log(source)
    try:
        with progress_bar() as bars:
            task = bars.add_task("copying records", total=None)
            report = copy_log(log, target, progress=lambda done, total: bars.update(task, completed=done, total=total))
    finally:
        log.close()
    if as_json:
        print_json(report)
        return
    earlier = f", after {report.records_before} of an earlier copy" if report.records_before else ""
    console().print(
        f"[green]copied[/] {report.records_copied} records ({shown_size(report.size_bytes)}) to "
        f"{escape(report.target_url)}{earlier}",
        soft_wrap=True,
    )
