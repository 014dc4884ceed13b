"""`mltrail runs metrics`: which metrics a run has, and the points of one."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import Annotated

import typer
from rich.markup import escape

from mltrail_api.pages.shown import shown_number, shown_time
from mltrail_api.search.view import RunView
from mltrail_api.series.absence import absent_key
from mltrail_api.series.downsampling import MIN_POINTS
from mltrail_api.series.formats import Format, encoded
from mltrail_api.series.queries import Summary, load_summaries, load_summary
from mltrail_api.series.reading import downsampled_reading, whole_reading
from mltrail_cli.options import ArtifactsUrl, AsJson, Data, LogUrl, StoreUrl
from mltrail_cli.reading import current_ports
from mltrail_cli.runs.chart import chart_lines
from mltrail_cli.runs.one_run import RunPrefix, load_one_run
from mltrail_cli.settings import read_settings
from mltrail_cli.terminal import console, plain_table, print_json
from mltrail_core.errors import Invalid, NotFound
from mltrail_core.series import EVERYTHING, Series, Window, joined

_CHART_COLUMNS, _CHART_ROWS = 72, 10
_CHART_POINTS = 4 * _CHART_COLUMNS


def print_metrics(
    run_id: RunPrefix,
    key: Annotated[
        str | None, typer.Argument(metavar="[METRIC]", help="Show this metric's points instead of all summaries.")
    ] = None,
    first_step: Annotated[int | None, typer.Option("--first-step", help="Only this step and later ones.")] = None,
    last_step: Annotated[int | None, typer.Option("--last-step", help="Only this step and earlier ones.")] = None,
    points: Annotated[
        int | None,
        typer.Option("--points", "-n", min=MIN_POINTS, help="At most so many, chosen so that spikes survive."),
    ] = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the points as CSV: step,time_us,value.")] = False,
    data: Data = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> None:
    """Show the metrics of a run; or one of them as a chart, or all its points (or so many) as JSON or CSV."""
    if key is None and (as_csv or points is not None or first_step is not None or last_step is not None):
        raise Invalid("--csv, --points, --first-step and --last-step are about the points of one metric: name it")
    if as_csv and as_json:
        raise Invalid("give either --csv or --json")
    settings = read_settings(data=data, log_url=log_url, store_url=store_url, artifacts_url=artifacts_url)
    window = Window(first_step, last_step)
    with current_ports(settings) as ports, ports.read_model.reading() as connection:
        run = load_one_run(connection, run_id)
        if key is None:
            _print_summaries(run, load_summaries(connection, run.run_id), as_json=as_json)
            return
        summary = load_summary(connection, run.run_id, key)
        if summary is None:
            raise NotFound(absent_key(connection, run.run_id, key))
        if as_json or as_csv:
            if points is None:
                reading = whole_reading(connection, run.run_id, key, window)
            else:
                reading = downsampled_reading(connection, run.run_id, key, window, points)
            _write(encoded(reading, "csv" if as_csv else "json"), "csv" if as_csv else "json")
            return
        drawn = downsampled_reading(connection, run.run_id, key, window, points or _CHART_POINTS)
    _print_chart(run, key, joined(list(drawn.parts())), drawn.total or 0)
    if window == EVERYTHING:
        _print_ends(summary)


def _print_summaries(run: RunView, summaries: list[Summary], *, as_json: bool) -> None:
    if as_json:
        print_json({"run_id": run.run_id, "metrics": [summary.as_json() for summary in summaries]})
        return
    out = console()
    out.print(f"[bold]{escape(run.name)}[/] [dim]{run.run_id}[/]")
    if not summaries:
        out.print("[dim]no metrics[/]")
        return
    numbers = ("first", "last", "step", "min", "step", "max", "step", "points")
    table = plain_table("metric", *numbers, right=numbers)
    for summary in summaries:
        table.add_row(
            escape(summary.key),
            shown_number(summary.first[0]),
            shown_number(summary.last[0]),
            str(summary.last[1]),
            *_shown_extreme(summary.min),
            *_shown_extreme(summary.max),
            str(summary.logged_points),
        )
    out.print(table)


def _shown_extreme(extreme: tuple[float, int] | None) -> tuple[str, str]:
    return ("", "") if extreme is None else (shown_number(extreme[0]), str(extreme[1]))


def _print_chart(run: RunView, key: str, series: Series, total: int) -> None:
    """Print a chart with its greatest and least value beside it."""
    out = console()
    out.print(f"[bold]{escape(key)}[/] [dim]of {escape(run.name)} {run.run_id}[/]")
    out.print(f"[dim]{len(series)} of {total} points are drawn[/]")
    lines = chart_lines(series, _CHART_COLUMNS, _CHART_ROWS)
    if lines:
        finite = series.values[[math.isfinite(value) for value in series.values.tolist()]]
        most, least = shown_number(float(finite.max())), shown_number(float(finite.min()))
        width = max(len(most), len(least))
        for number, line in enumerate(lines):
            label = most if number == 0 else least if number == len(lines) - 1 else ""
            out.print(f"[dim]{label:>{width}}[/] [cyan]{line}[/]")
        first, last = str(series.steps[0]), str(series.steps[-1])
        out.print(f"{'':{width}} [dim]{first}{last:>{_CHART_COLUMNS - len(first)}}[/]")


def _print_ends(summary: Summary) -> None:
    out = console()
    for what, (value, step, time_us) in (("first", summary.first), ("last", summary.last)):
        out.print(f"[dim]{what:<5}[/] {shown_number(value)} [dim]at step {step}, {shown_time(time_us)} UTC[/]")
    for what, extreme in (("min", summary.min), ("max", summary.max)):
        if extreme is not None:
            out.print(f"[dim]{what:<5}[/] {shown_number(extreme[0])} [dim]at step {extreme[1]}[/]")


def _write(parts: Iterable[bytes], format: Format) -> None:
    for part in parts:
        sys.stdout.write(part.decode())
    if format == "json":
        sys.stdout.write("\n")
