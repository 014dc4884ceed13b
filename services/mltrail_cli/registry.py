"""`mltrail registry list|show|history|webhooks`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from mltrail_api.mlflow.registry.queries import load_registered_models
from mltrail_api.mlflow.registry.search_queries import search_model_names
from mltrail_api.pages.shown import shown_time
from mltrail_api.search.parse import parse_registered_model_filter
from mltrail_api.v1.registry_history import KINDS, Change, load_changes
from mltrail_api.v1.registry_moment import moment_us
from mltrail_api.v1.registry_states import load_state
from mltrail_api.v1.registry_views import RegistryModel, RegistryVersion, model_view, version_views
from mltrail_cli import webhooks
from mltrail_cli.options import ArtifactsUrl, AsJson, Data, LogUrl, StoreUrl
from mltrail_cli.reading import current_ports
from mltrail_cli.settings import read_settings
from mltrail_cli.terminal import console, plain_table, print_json
from mltrail_core.errors import Invalid, NotFound

_MAX_LISTED = 10_000
_Name = Annotated[str, typer.Argument(metavar="MODEL", help="The registered model's name.")]
_AsOf = Annotated[
    str | None, typer.Option("--as-of", metavar="TIME", help="As it was then: 2026-05-01T12:00:00Z, or µs since 1970.")
]


def add_to(app: typer.Typer) -> None:
    """Register the commands of this module."""
    registry = typer.Typer(
        name="registry", help="Look at registered models, now or at any moment.", no_args_is_help=True
    )
    registry.command("list")(_list)
    registry.command("show")(_show)
    registry.command("history")(_history)
    webhooks.add_to(registry)
    app.add_typer(registry)


def _list(
    filter_string: Annotated[str, typer.Option("--filter", "-f", help="As in MLflow: tags.team = 'vision'")] = "",
    as_json: AsJson = False,
    data: Data = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> None:
    """List registered models by name, with the highest version of each stage and the aliases."""
    settings = read_settings(data=data, log_url=log_url, store_url=store_url, artifacts_url=artifacts_url)
    wanted = parse_registered_model_filter(filter_string)
    with current_ports(settings) as ports, ports.read_model.reading() as connection:
        models = load_registered_models(connection, search_model_names(connection, wanted, (), 0, _MAX_LISTED))
    if as_json:
        print_json({"registered_models": models})
        return
    table = plain_table("name", "latest versions", "aliases", "changed (UTC)")
    for model in models:
        latest = ", ".join(f"{version.number} {version.stage}" for version in model.latest)
        aliases = ", ".join(f"{alias} → {number}" for alias, number in model.aliases)
        table.add_row(escape(model.name), escape(latest), escape(aliases), shown_time(model.updated_us))
    console().print(table)


def _show(
    name: _Name,
    as_of: _AsOf = None,
    as_json: AsJson = False,
    data: Data = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> None:
    """Show a registered model and its versions, as they are or as they were."""
    settings = read_settings(data=data, log_url=log_url, store_url=store_url, artifacts_url=artifacts_url)
    at_us = moment_us(as_of)
    with current_ports(settings) as ports, ports.read_model.reading() as connection:
        state = load_state(connection, name, at_us)
        if state is None:
            when = "" if as_of is None else f" as of {as_of}"
            raise NotFound(f"there is no registered model {name!r}{when}; see `mltrail registry list`")
        model = model_view(connection, state)
        versions = version_views(connection, state, sorted(state.versions, reverse=True))
    if as_json:
        print_json({"model": model, "versions": versions})
        return
    _print_model(model, versions)


def _history(
    name: _Name,
    version: Annotated[
        int | None, typer.Option("--version", min=1, max=2**31 - 1, help="Of this version only.")
    ] = None,
    kind: Annotated[list[str] | None, typer.Option("--kind", help=f"{', '.join(KINDS)}; may be repeated.")] = None,
    as_of: _AsOf = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, the newest.")] = 100,
    as_json: AsJson = False,
    data: Data = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> None:
    """List what changed, by whom and when, and what was before; the newest first."""
    settings = read_settings(data=data, log_url=log_url, store_url=store_url, artifacts_url=artifacts_url)
    unknown = [word for word in kind or () if word not in KINDS]
    if unknown:
        raise Invalid(f"--kind {unknown[0]}: expected one of {', '.join(KINDS)}")
    with current_ports(settings) as ports, ports.read_model.reading() as connection:
        changes = load_changes(
            connection, name, until_us=moment_us(as_of), version=version, kinds=kind or (), limit=limit
        )
    if changes is None:
        raise NotFound(f"no registered model ever had the name {name!r}; see `mltrail registry list`")
    if as_json:
        print_json({"changes": changes})
        return
    table = plain_table("when (UTC)", "version", "what", "before", "after", "by", right=("version",))
    for change in changes:
        table.add_row(*_cells(change))
    console().print(table)


def _print_model(model: RegistryModel, versions: list[RegistryVersion]) -> None:
    facts = {
        "description": model.description,
        "tags": ", ".join(f"{key}={value}" for key, value in model.tags.items()),
        "created": f"{shown_time(model.created_us)} by {model.user}",
    }
    out = console()
    out.print(f"[bold]{escape(model.name)}[/]")
    for what, shown in facts.items():
        if shown:
            out.print(f"[dim]{what}[/] {escape(shown)}")
    table = plain_table("version", "stage", "aliases", "run", "source", "created (UTC)", "by", right=("version",))
    for version in versions:
        table.add_row(
            str(version.version),
            escape(version.stage),
            escape(", ".join(version.aliases)),
            escape(version.run_id or ""),
            escape(version.source),
            shown_time(version.created_us),
            escape(version.user),
        )
    out.print(table)


def _cells(change: Change) -> list[str]:
    what = change.kind if change.key is None else f"{change.kind} {change.key}"
    by = f"{change.actor} ({change.actor_known})"
    cells = [what, change.before or "", change.after or "", by]
    number = "" if change.version is None else str(change.version)
    return [shown_time(change.appended_us), number, *map(escape, cells)]
