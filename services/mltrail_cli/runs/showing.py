"""How runs look in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape

from mltrail_api.pages.queries import MetricSummary, StoredArtifact
from mltrail_api.pages.shown import shown_duration, shown_number, shown_size, shown_time
from mltrail_api.search.view import RunView
from mltrail_api.v1.delivered import Delivery, ProducerDelivery
from mltrail_cli.runs.history import Change
from mltrail_cli.terminal import console, plain_table
from mltrail_core.metric_block import MetricPoint
from mltrail_core.rules import LOST_STATUS

_STATUS_STYLE = {"FINISHED": "green", "RUNNING": "cyan", "SCHEDULED": "cyan", "FAILED": "red", "KILLED": "red"} | {
    LOST_STATUS: "yellow"
}
_MAX_METRIC_COLUMNS = 4


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run with all that `runs show` prints. `experiment_name` is None while its experiment is not known."""

    run: RunView
    experiment_name: str | None
    metrics: list[MetricSummary]
    artifacts: list[StoredArtifact]
    delivery: Delivery


def print_runs(found: Sequence[RunView], experiment_names: dict[str, str]) -> None:
    """Print a line for each run, with the metrics that most of them have."""
    out = console()
    if not found:
        out.print("[dim]no runs match[/]")
        return
    counts: dict[str, int] = {}
    for run in found:
        for metric in run.metrics:
            counts[metric.key] = counts.get(metric.key, 0) + 1
    keys = sorted(sorted(counts), key=lambda key: -counts[key])[:_MAX_METRIC_COLUMNS]
    table = plain_table("run", "name", "experiment", "status", "started (UTC)", "took", *keys, right=("took", *keys))
    table.columns[0].no_wrap = True
    table.columns[4].no_wrap = True
    for run in found:
        values = {metric.key: metric.value for metric in run.metrics}
        table.add_row(
            run.run_id,
            escape(run.name),
            escape(experiment_names.get(run.experiment_id, f"? {run.experiment_id}")),
            styled_status(run.shown_status),
            shown_time(run.started_us),
            shown_duration(run.started_us, run.ended_us),
            *(shown_number(values[key]) if key in values else "" for key in keys),
        )
    out.print(table)


def print_found_run(found: FoundRun) -> None:
    """Print a run and all that belongs to it."""
    out, run = console(), found.run
    out.print(
        f"[bold]{escape(run.name)}[/]  {styled_status(run.shown_status)}"
        + ("  [red]deleted[/]" if run.is_deleted else "")
    )
    head = plain_table("", "")
    head.show_header = False
    experiment = f"{escape(found.experiment_name or 'unknown')} [dim]({run.experiment_id})[/]"
    ended = f" [dim]·[/] took {shown_duration(run.started_us, run.ended_us)}" if run.ended_us is not None else ""
    head.add_row("[dim]run[/]", run.run_id)
    head.add_row("[dim]experiment[/]", experiment)
    head.add_row("[dim]user[/]", escape(run.user))
    head.add_row("[dim]started[/]", f"{shown_time(run.started_us)} UTC{ended}")
    if run.status == "RUNNING" and found.delivery.last_seen_us is not None:
        head.add_row("[dim]last seen[/]", f"{shown_time(found.delivery.last_seen_us)} UTC")
    out.print(head)
    _print_pairs(out, "params", run.params)
    if found.metrics:
        table = plain_table(
            "metric", "last", "step", "min", "max", "points", right=("last", "step", "min", "max", "points")
        )
        for metric in found.metrics:
            table.add_row(
                escape(metric.key),
                shown_number(metric.last_value),
                str(metric.last_step),
                shown_number(metric.min_value),
                shown_number(metric.max_value),
                str(metric.logged_points),
            )
        _print_part(out, "metrics", len(found.metrics))
        out.print(table)
    _print_pairs(out, "tags", run.tags)
    if found.artifacts:
        table = plain_table("path", "size", "sha256", right=("size",))
        for artifact in found.artifacts:
            sha256 = "not verified yet" if artifact.sha256 is None else f"{artifact.sha256[:16]}…"
            table.add_row(escape(artifact.path), shown_size(artifact.size_bytes), f"[dim]{sha256}[/]")
        _print_part(out, "artifacts", len(found.artifacts))
        out.print(table)
    print_delivery(out, found.delivery)


def print_delivery(out: Console, delivery: Delivery) -> None:
    """Print what of the run arrived, and what was rejected."""
    _print_part(out, "delivery", len(delivery.producers))
    if not delivery.producers:
        out.print("[dim]written through the API only, which declares no end[/]")
    for producer in delivery.producers:
        where = f"[dim]{producer.producer}"
        if producer.host is not None:
            where += f" · {escape(producer.host)} · process {producer.process_id} · rank {producer.rank}"
        if producer.last_sequence is None:
            where += f" · last seen {shown_time(producer.last_seen_us)}"
        out.print(f"{_verdict(producer)}  {where}[/]", soft_wrap=True)
    if delivery.rejections:
        _print_part(out, "rejections", len(delivery.rejections))
        for rejection in delivery.rejections:
            event = f"{rejection.wire_name} " if rejection.wire_name else ""
            out.print(
                f"[red]{rejection.reason}[/] [dim]{event}{rejection.partition}/{rejection.index}[/] "
                f"{escape(rejection.message)}",
                soft_wrap=True,
            )


def _verdict(producer: ProducerDelivery) -> str:
    if producer.is_complete:
        return f"[green]received 1..{producer.last_sequence}, missing none[/]"
    if producer.missing:
        end = "" if producer.last_sequence is not None else "; end unknown"
        return f"[red]received {producer.intervals}, missing {producer.missing}{end}[/]"
    return f"[yellow]received {producer.intervals}, end unknown[/]"


def print_history(run: RunView, changes: Sequence[Change]) -> None:
    """Print who changed what of a run and when, oldest first; rejected events in red with the reason."""
    out = console()
    out.print(f"[bold]{escape(run.name)}[/] [dim]{run.run_id}[/]")
    table = plain_table("appended (UTC)", "place", "who", "event", "what")
    for name in (0, 1):
        table.columns[name].no_wrap = True
    before: dict[tuple[str, str], str] = {}
    last_place = None
    for change in changes:
        # What came in one record has one time, place and actor: they are said once.
        place = (change.partition, change.index)
        if place != last_place:
            when, where = shown_time(change.appended_us), f"{change.partition}/{change.index}"
            who = f"{escape(change.actor)} [dim]({change.known})[/]"
        else:
            when = where = who = ""
        last_place = place
        what = _what(change, before)
        event = change.event
        if change.rejected is not None:
            event = f"[red]{event} rejected[/]"
            what += f"\n[red]{escape(change.rejected)}[/]"
        table.add_row(when, where, who, event, what)
    out.print(table)


def print_points(run: RunView, key: str, points: Sequence[MetricPoint]) -> None:
    """Print all points of one metric."""
    out = console()
    out.print(f"[bold]{escape(key)}[/] [dim]of {escape(run.name)} {run.run_id}[/]")
    table = plain_table("step", "value", "time (UTC)", right=("step", "value"))
    for point in points:
        table.add_row(str(point.step), shown_number(point.value), shown_time(point.time_us))
    out.print(table)


def styled_status(status: str) -> str:
    """Return a run's status in its color."""
    return f"[{_STATUS_STYLE.get(status, 'default')}]{escape(status)}[/]"


def _what(change: Change, before: dict[tuple[str, str], str]) -> str:
    """Return what an event says; of a tag that had another value, the old one too, remembered in `before`."""
    data = change.data
    key, value = data.get("key"), data.get("value")
    if isinstance(key, str) and isinstance(value, str):
        old = before.get((change.event, key))
        if change.rejected is None:
            before[change.event, key] = value
        shown_old = f"[dim]{escape(old)} →[/] " if old is not None and old != value else ""
        return f"{escape(key)} = {shown_old}{escape(value)}"
    if change.event == "metrics_logged":
        return f"{data['points']} points of {escape(', '.join(map(str, _listed(data['keys']))))}"
    return escape(", ".join(_said(name, value) for name, value in data.items() if name != "owner"))


def _said(name: str, value: object) -> str:
    if name.endswith("_us") and isinstance(value, int):
        return f"{name.removesuffix('_us')} {shown_time(value)}"
    return f"{name}={value}"


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _print_pairs(out: Console, what: str, pairs: Sequence[tuple[str, str]]) -> None:
    if not pairs:
        return
    _print_part(out, what, len(pairs))
    table = plain_table("", "")
    table.show_header = False
    for key, value in pairs:
        table.add_row(f"[dim]{escape(key)}[/]", escape(value))
    out.print(table)


def _print_part(out: Console, what: str, count: int) -> None:
    out.print(f"\n[bold]{what}[/] [dim]{count or ''}[/]")
