"""`mltrail sync`: sends what trainers spooled and could not send. Runs with what a trainer has installed."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from mltrail._sender import pause_before_retry
from mltrail._settings import Destination, parse_destination, spool_places
from mltrail._spool import spools_in
from mltrail._spool.delivery import DeadSpool
from mltrail._transport import Transport, open_transport
from mltrail_api.pages.shown import shown_size
from mltrail_cli.options import AsJson
from mltrail_cli.terminal import console, plain_table, progress_bar, warn
from mltrail_core.errors import Conflict, Invalid, Rejected, Unavailable

DEFAULT_PATIENCE_S = 10.0


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("sync")(_sync)


@dataclass(slots=True)
class SpoolReport:
    """What became of one spool; `left_…` counts what is still in it."""

    path: str
    state: str
    """`sent`; `left` when something could not be sent; `in use` while its process lives; `unreadable`."""
    destination: str = ""
    host: str = ""
    process_id: int = 0
    run_ids: tuple[str, ...] = ()
    events: int = 0
    points: int = 0
    artifacts: int = 0
    artifact_bytes: int = 0
    left_events: int = 0
    left_points: int = 0
    left_artifacts: int = 0
    refused: list[str] = field(default_factory=list)
    """Why records were refused, and artifacts given up."""
    reason: str = ""
    """Why something is left."""


def _sync(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]",
            help="The spool of a machine, or of one process; by default $MLTRAIL_SPOOL, else "
            "~/.local/state/mltrail/spool, and the temporary folder that takes its place.",
            show_default=False,
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="URL",
            help="Send to this place instead of where each training wanted to: http://host:port, "
            "redis://:password@host:port/db or a folder.",
        ),
    ] = None,
    patience_s: Annotated[
        float,
        typer.Option("--wait", metavar="SECONDS", help="How long to try again when a server can't be reached."),
    ] = DEFAULT_PATIENCE_S,
    is_dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what there is to send.")] = False,
    forgets_refused: Annotated[
        bool, typer.Option("--forget-refused", help="Delete records that the server refused, after showing why.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send what trainings logged while no server could be reached, or offline.

    What a training logs lies in a spool on its machine until the log has it. A training that was killed, or that ended
    before its server came back, leaves its spool behind; this sends it, and removes it once all has arrived. Sending
    again is harmless: records are numbered, and nothing counts twice. Spools of trainings that are still running are
    left alone, they send for themselves. The API token is taken from $MLTRAIL_TOKEN.

    Exits with 0 when nothing is left to send, with 1 when something is.
    """
    places = spool_places(os.environ) if folder is None else (folder,)
    if folder is not None and not folder.is_dir():
        raise Invalid(f"{str(folder)!r} is no folder; expected a spool, such as a training names at its end")
    target = None if to is None else parsed(to)
    reports = [
        _report_of(path, target, patience_s, is_dry_run=is_dry_run, forgets_refused=forgets_refused, is_quiet=as_json)
        for place in places
        for path in _found(place)
    ]
    if as_json:
        sys.stdout.write(json.dumps({"spools": [asdict(report) for report in reports]}) + "\n")
    else:
        _show(reports, places, is_dry_run=is_dry_run)
    if not is_dry_run and any(report.state in ("left", "unreadable") for report in reports):
        raise typer.Exit(1)


def parsed(uri: str) -> Destination:
    """Return what `--to` names, with the token of the environment.

    Raises:
        Invalid: it names nothing that can be logged to.
    """
    try:
        return replace(parse_destination(uri), token=os.environ.get("MLTRAIL_TOKEN") or None)
    except ValueError as error:
        raise Invalid(str(error)) from error


def _found(place: Path) -> list[Path]:
    try:
        return spools_in(place)
    except OSError as error:
        raise Unavailable(f"the spool {place} can't be read: {error}") from error


def _report_of(
    path: Path,
    target: Destination | None,
    patience_s: float,
    *,
    is_dry_run: bool,
    forgets_refused: bool,
    is_quiet: bool,
) -> SpoolReport:
    try:
        spool = DeadSpool.claim(path)
    except (Conflict, OSError, Unavailable) as error:
        return SpoolReport(str(path), "unreadable", reason=str(error))
    if spool is None:
        return SpoolReport(str(path), "in use")
    with closing(spool):
        before, about = spool.contents(), spool.about
        report = SpoolReport(
            str(path),
            "left",
            destination=about.destination if target is None else target.shown,
            host=about.writer.host,
            process_id=about.writer.process_id,
            run_ids=before.run_ids,
        )
        if not is_dry_run:
            report.reason = _sent(spool, target or parsed(about.destination), patience_s, is_quiet=is_quiet)
        after = spool.contents()
        report.refused = [f"a record of run {run_id}: {reason}" for run_id, reason in spool.refusals()]
        if forgets_refused and not is_dry_run:
            spool.forget_refused()
        report.refused += spool.given_up
        report.left_events, report.left_points = after.event_count, after.point_count
        report.left_artifacts = after.upload_count
        if not is_dry_run:
            report.events = before.event_count - after.event_count
            report.points = before.point_count - after.point_count
            report.artifacts = before.upload_count - after.upload_count
            report.artifact_bytes = before.upload_bytes - after.upload_bytes
            if spool.contents().is_empty:
                report.state = "sent"
    return report


def _sent(spool: DeadSpool, destination: Destination, patience_s: float, *, is_quiet: bool) -> str:
    """Send all that can be sent; return why something is left, '' when nothing is."""
    failures = 0
    deadline = time.monotonic() + patience_s
    contents = spool.contents()
    total = contents.record_count + contents.upload_count
    with progress_bar(is_quiet=is_quiet) as bars, _transport_to(destination, deadline) as transport:
        task = bars.add_task(f"sending to {destination.shown}", total=total)
        while True:
            try:
                sent = spool.send_some(transport)
                if not sent:
                    return ""
                bars.advance(task, sent)
                failures, deadline = 0, time.monotonic() + patience_s
            except Unavailable as error:
                failures += 1
                pause_s = pause_before_retry(error, failures)
                if time.monotonic() + pause_s > deadline:
                    return str(error)
                time.sleep(pause_s)
            except Rejected as error:
                return str(error)


@contextmanager
def _transport_to(destination: Destination, deadline: float) -> Iterator[Transport]:
    transport = open_transport(destination)
    try:
        yield transport
    finally:
        transport.close()


def _show(reports: list[SpoolReport], places: tuple[Path, ...], *, is_dry_run: bool) -> None:
    out = console()
    if not reports:
        out.print(f"nothing is spooled in {' or '.join(map(str, places))}", markup=False, soft_wrap=True)
        return
    table = plain_table("process", "runs", "events", "points", "artifacts", "", right=("events", "points", "artifacts"))
    for report in reports:
        counts = report.events, report.points, report.artifacts
        words = {"sent": "[green]sent[/]", "in use": "[dim]in use, it sends for itself[/]"}
        state = words.get(report.state, f"[yellow]{report.state}[/]")
        if report.state == "left":
            counts = report.left_events, report.left_points, report.left_artifacts
            state = "[dim]to be sent[/]" if is_dry_run else state
        table.add_row(
            escape(f"{report.process_id or '?'} on {report.host or '?'}"),
            ", ".join(report.run_ids),
            str(counts[0]),
            str(counts[1]),
            f"{counts[2]} ({shown_size(report.artifact_bytes)})" if report.artifact_bytes else str(counts[2]),
            f"{state} [dim]{'to' if report.destination else ''}[/] {escape(report.destination)}",
        )
    out.print(table)
    for report in reports:
        for reason in report.refused:
            warn(f"refused: {escape(reason)}; it stays in {escape(report.path)} until --forget-refused")
        if report.reason:
            warn(
                f"{escape(report.path)}: {report.left_events} events and {report.left_artifacts} artifacts are left: "
                f"{escape(report.reason)}"
            )
